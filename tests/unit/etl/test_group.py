import numpy as np
import pytest

from etl.transform.group import MAX_DISTANCE, Groups, near_pairs

pytestmark = pytest.mark.unit


LOW = np.zeros((16, 16), dtype=bool)
LOW[:8, :8] = True


def flip(row: np.ndarray, low: int, high: int, rng: np.random.Generator) -> np.ndarray:
    """Change so many bits among the lowest frequencies, and so many of the rest."""
    bits = np.unpackbits(row)
    bits[rng.choice(np.flatnonzero(LOW), low, replace=False)] ^= 1
    bits[rng.choice(np.flatnonzero(~LOW), high, replace=False)] ^= 1
    return np.packbits(bits)


def test_every_near_pair_is_connected_and_no_other() -> None:
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 256, (300, 32), dtype=np.uint8)
    # As copies are: of the lowest frequencies few change.
    copies = np.stack([flip(row, i % 7, i % (MAX_DISTANCE - 5), rng) for i, row in enumerate(originals)])
    hashes = np.concatenate([originals, copies])
    groups = Groups(len(hashes))
    for one, other in near_pairs(hashes):
        distance = int(np.bitwise_count(hashes[one] ^ hashes[other]).sum())
        assert distance <= MAX_DISTANCE
        groups.join(one, other)
    assert [groups.find(300 + i) for i in range(300)] == list(range(300))


def test_many_alike_hashes_cost_no_square_and_are_one_group() -> None:
    rng = np.random.default_rng(0)
    row = rng.integers(0, 256, 32, dtype=np.uint8)
    hashes = np.stack([flip(row, 0, 12, rng) for _ in range(2000)])
    groups = Groups(len(hashes))
    pairs = 0
    for one, other in near_pairs(hashes):
        groups.join(one, other)
        pairs += 1
    assert {groups.find(i) for i in range(len(hashes))} == {0}
    assert pairs <= 48 * 32 * len(hashes)


def test_many_equal_hashes_cost_no_square() -> None:
    hashes = np.zeros((20_000, 32), dtype=np.uint8)
    assert sum(1 for _ in near_pairs(hashes)) == 19_999


def test_groups_are_named_by_their_first_member() -> None:
    groups = Groups(5)
    groups.join_equal(["a", "b", "a", "c", "b"])
    assert [groups.find(i) for i in range(5)] == [0, 1, 0, 3, 1]
