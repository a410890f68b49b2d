"""Grouping samples that must share a split: the same image, nearly the same image, the same words."""

from collections.abc import Hashable, Iterable, Iterator

import numpy as np
import numpy.typing as npt

MAX_DISTANCE = 15
"""Bits of 256 by which the hashes of near-duplicates may differ. Re-encoded and resized copies differ by a few; distinct pictures by about 128."""

_BANDS = 16


class Groups:
    """Disjoint sets of the numbers 0 to n - 1 (union by the smaller root, path halving)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        """Return the set's smallest member."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        """Make two sets one."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def join_equal(self, keys: Iterable[Hashable]) -> None:
        """Join all items with equal keys."""
        first: dict[Hashable, int] = {}
        for item, key in enumerate(keys):
            self.join(first.setdefault(key, item), item)


def group(captions: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the group of each of n samples, named by the position of its first member.

    Args:
        captions: (n, 32) digests of the captions' fingerprints.
        hashes: (n, 32) perceptual hashes of the images.
    """
    groups = Groups(len(hashes))
    groups.join_equal(digest.tobytes() for digest in captions)
    for one, other in near_pairs(hashes):
        groups.join(one, other)
    return np.fromiter((groups.find(item) for item in range(len(hashes))), dtype=np.int64, count=len(hashes))


def near_pairs(hashes: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows whose hashes differ by at most `MAX_DISTANCE` bits, enough of them to connect every such pair.

    Hashes of 256 bits are cut into 16 bands of 16. If two differ in at most 15 bits, some band is the same in both (pigeonhole), so only
    rows that share a band are compared: work grows with the number of rows times the size of a bucket, not with its square.

    Args:
        hashes: (n, 32) bytes.
    """
    # Equal hashes first: one of them stands for all, or a corpus full of black pictures would fill a bucket.
    first: dict[bytes, int] = {}
    for row in range(len(hashes)):
        known = first.setdefault(hashes[row].tobytes(), row)
        if known != row:
            yield known, row
    rows = np.fromiter(first.values(), dtype=np.int64, count=len(first))
    distinct = np.ascontiguousarray(hashes[rows])
    bands, words = distinct.view(np.uint16), distinct.view(np.uint64)
    for band in range(_BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        values, ordered = bands[order, band], words[order]
        # Each row with the next of its bucket, then with the one after that, until no bucket reaches so far.
        at, step = np.arange(len(order) - 1), 1
        while len(at := at[values[at] == values[at + step]]):
            near = at[np.bitwise_count(ordered[at] ^ ordered[at + step]).sum(axis=1) <= MAX_DISTANCE]
            yield from zip(rows[order[near]].tolist(), rows[order[near + step]].tolist(), strict=True)
            step += 1
            at = at[at + step < len(order)]
