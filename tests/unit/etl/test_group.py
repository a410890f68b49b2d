import numpy as np
import pytest

from etl.transform.group import MAX_DISTANCE, Groups, near_pairs

pytestmark = pytest.mark.unit


def flip(row: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    unpacked = np.unpackbits(row)
    unpacked[rng.choice(256, bits, replace=False)] ^= 1
    return np.packbits(unpacked)


def test_every_near_pair_is_connected_and_no_other() -> None:
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 256, (300, 32), dtype=np.uint8)
    copies = np.stack([flip(row, i % (MAX_DISTANCE + 1), rng) for i, row in enumerate(originals)])
    hashes = np.concatenate([originals, copies])
    groups = Groups(len(hashes))
    for one, other in near_pairs(hashes):
        distance = int(np.bitwise_count(hashes[one] ^ hashes[other]).sum())
        assert distance <= MAX_DISTANCE
        groups.join(one, other)
    assert [groups.find(300 + i) for i in range(300)] == list(range(300))


def test_many_equal_hashes_cost_no_square() -> None:
    hashes = np.zeros((20_000, 32), dtype=np.uint8)
    assert sum(1 for _ in near_pairs(hashes)) == 19_999


def test_groups_are_named_by_their_first_member() -> None:
    groups = Groups(5)
    groups.join_equal(["a", "b", "a", "c", "b"])
    assert [groups.find(i) for i in range(5)] == [0, 1, 0, 3, 1]
