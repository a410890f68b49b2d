from collections.abc import Sequence

import numpy as np
import pytest
from spooled import group, spooled

from etl.transform.splitting import grouping
from etl.transform.splitting.grouping import MAX_CAPTION_GROUP, MAX_DISTANCE, DisjointSets, first_occurrences

pytestmark = pytest.mark.unit


LOW = np.zeros((16, 16), dtype=bool)
LOW[:8, :8] = True


def flip(row: np.ndarray, low: int, high: int, rng: np.random.Generator) -> np.ndarray:
    """Change so many bits among the lowest frequencies, and so many of the rest."""
    bits = np.unpackbits(row)
    bits[rng.choice(np.flatnonzero(LOW), low, replace=False)] ^= 1
    bits[rng.choice(np.flatnonzero(~LOW), high, replace=False)] ^= 1
    return np.packbits(bits)


def near_pairs(hashes: np.ndarray) -> Sequence[tuple[int, int]]:
    with spooled(hashes) as rows:
        found = grouping.near_pairs(rows, np.arange(len(rows), dtype=np.int32))
        return [pair for one, other in found for pair in zip(one.tolist(), other.tolist(), strict=True)]


def lying(views: np.ndarray) -> np.ndarray:
    """Hashes of pictures that lie upright, without a doubt."""
    return np.column_stack([views, np.zeros(len(views), dtype=np.uint8)])


def test_every_near_pair_is_connected_and_no_other() -> None:
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 256, (2 * 300, 32), dtype=np.uint8)
    # As copies are: of the lowest frequencies few change, in either view.
    copies = np.stack([flip(row, i % 7, i % (MAX_DISTANCE - 5), rng) for i, row in enumerate(originals)])
    views = np.concatenate([originals, copies])
    assert all(np.bitwise_count(views[one] ^ views[other]).sum() <= MAX_DISTANCE for one, other in near_pairs(views))
    hashes = lying(views.reshape(2 * 300, 64))
    captions = rng.integers(0, 256, (len(hashes), 32), dtype=np.uint8)
    assert group(captions, hashes).tolist() == [*range(300), *range(300)]


def test_many_alike_hashes_cost_no_square_and_are_one_group() -> None:
    rng = np.random.default_rng(0)
    row = rng.integers(0, 256, 32, dtype=np.uint8)
    hashes = np.stack([flip(row, 0, 12, rng) for _ in range(2000)])
    groups = DisjointSets(len(hashes))
    pairs = 0
    with spooled(hashes) as rows:
        for one, other in grouping.near_pairs(rows, np.arange(len(rows), dtype=np.int32)):
            groups.join_all(one, other)
            pairs += len(one)
    assert {groups.find(i) for i in range(len(hashes))} == {0}
    assert pairs <= 32 * 32 * len(hashes)


def test_sets_joined_at_once_are_those_joined_one_by_one() -> None:
    rng = np.random.default_rng(0)
    at_once, one_by_one = DisjointSets(1000), DisjointSets(1000)
    chain = np.arange(100, dtype=np.int32)
    for pairs in (*(rng.integers(100, 1000, (2, 80)).astype(np.int32) for _ in range(5)), (chain[1:], chain[:-1])):
        at_once.join_all(*pairs)
        for one, other in zip(*pairs, strict=True):
            one_by_one.join(int(one), int(other))
        assert at_once.all().tolist() == one_by_one.all().tolist()
    assert 100 < len({*at_once.all().tolist()}) < 900


def test_many_equal_hashes_cost_no_square() -> None:
    hashes = np.zeros((20_000, 32), dtype=np.uint8)
    assert sum(1 for _ in near_pairs(hashes)) == 19_999


def test_rows_lead_to_the_first_that_is_equal() -> None:
    rows = np.zeros((5, 32), dtype=np.uint8)
    rows[[1, 4], 31] = 7  # in the last byte alone
    rows[3, 0] = 7
    with spooled(rows) as found, spooled(rows[:0]) as none:
        assert first_occurrences(found).tolist() == [0, 1, 0, 3, 1]
        assert first_occurrences(none).tolist() == []


def test_groups_are_named_by_their_first_member() -> None:
    """The same words join 1 and 4, the same picture 4 and 2; 5 is the inner part of 3."""
    rng = np.random.default_rng(0)
    captions, hashes = (
        rng.integers(0, 256, (6, 32), dtype=np.uint8),
        lying(rng.integers(0, 256, (6, 64), dtype=np.uint8)),
    )
    captions[4] = captions[1]
    hashes[4, :32] = hashes[2, :32]
    hashes[5, :32] = hashes[3, 32:64]
    assert group(captions, hashes).tolist() == [0, 1, 1, 3, 1, 3]


def random_rows(count: int, width: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (count, width), dtype=np.uint8)


@pytest.mark.parametrize(("uses", "largest"), [(MAX_CAPTION_GROUP, MAX_CAPTION_GROUP), (MAX_CAPTION_GROUP + 1, 1)])
def test_words_that_many_use_join_nothing(uses: int, largest: int) -> None:
    captions = random_rows(100, 32)
    captions[:uses] = captions[0]
    assert np.bincount(group(captions, lying(random_rows(100, 64)))).max() == largest


def test_words_join_a_bounded_group_and_pictures_any() -> None:
    """Each picture is posted twice, once with the words of the next one: a chain, which words would make one group."""
    captions, hashes = random_rows(400, 32), lying(random_rows(400, 64))
    hashes[1::2] = hashes[::2]
    captions[2::2] = captions[1:-1:2]
    groups = group(captions, hashes)
    assert (groups[1::2] == groups[::2]).all()
    assert MAX_CAPTION_GROUP - 2 < np.bincount(groups).max() <= MAX_CAPTION_GROUP
    hashes[:] = hashes[0]
    assert (group(captions, hashes) == 0).all()


@pytest.mark.parametrize("part", [200, 1000])
def test_parts_of_any_size_give_the_same_groups(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """Copies of pictures and words, some in doubt of how they lie, are read in many parts and in one."""
    rng = np.random.default_rng(3)
    captions, hashes = random_rows(1000, 32), random_rows(1000, 65)
    hashes[:, 64] &= 0b001111
    hashes[::7] = hashes[0]
    hashes[500:] = hashes[rng.permutation(500)]
    hashes[500:, 5] ^= 3
    captions[700:] = captions[:300]
    whole = group(captions, hashes)
    assert len(set(whole.tolist())) < 700
    monkeypatch.setattr(grouping, "_PART", part)
    assert group(captions, hashes, block=77).tolist() == whole.tolist()
