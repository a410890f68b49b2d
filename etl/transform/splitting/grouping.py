"""Grouping samples that must share a split: the same image, nearly the same image, the same telling words.

Pictures that are alike always stay together, however many they are. Words join samples only where they tell of one source:
`etl.transform.cleaning.check` leaves out captions that anybody may write; here, those that many samples have or that would make a group large join
nothing.
"""

from array import array
from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from etl.transform.cleaning.orientation import set_upright
from etl.transform.cleaning.picture import TURN, VIEW_BYTES, VIEWS

MAX_DISTANCE = 48
"""Bits of 256 by which the hashes of near-duplicates may differ.

Measured on rendered scenes and on photographs: of copies that were encoded again, resized, brightened by a fifth or cropped by up to 2 % a side
each has a view that differs from one of the original's by at most 48 bits; of those cropped by up to 3 % a side 99.7 in 100, by up to 5 % 88.
Of twelve million pairs of distinct scenes three are as near as that. A false alarm costs little (two samples share a split), a miss is a leak.
"""

MOST_ALIKE = 20
"""Samples that captions join, at most: what more have is a phrase that people use, or a template. Pictures may make larger groups."""

_TABLES = 32
_BUCKET_BITS = 16
_REACH = 32
"""Rows that a row is compared with in one table, at most: however alike a corpus is, work stays linear."""


class DisjointSets:
    """Disjoint sets of the numbers 0 to *count* - 1, each a set to begin with (union by the smaller root, path halving)."""

    def __init__(self, count: int) -> None:
        # A list would take five times the memory, and a NumPy array five times as long for each number.
        self._parent = array("q", range(count))

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

    def all(self) -> npt.NDArray[np.int64]:
        """Return the smallest member of each number's set: (n,)."""
        return np.fromiter(map(self.find, range(len(self._parent))), dtype=np.int64, count=len(self._parent))


def group(captions: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the group of each of n samples, named by the position of its first member.

    Args:
        captions: (n, 32) digests of the captions' fingerprints.
        hashes: (n, 65) perceptual hashes of the images, as `hash_pictures` returns them. They are compared upright, so that mirrored and turned
            copies are found.
    """
    groups = DisjointSets(len(hashes))
    upright, pictures = set_upright(hashes[:, :TURN], hashes[:, TURN])
    views = np.concatenate([upright[:, :VIEW_BYTES], upright[:, VIEW_BYTES:]])
    for one, other in near_pairs(views, np.tile(pictures, VIEWS)):
        groups.join(one, other)
    _join_by_words(groups, first_equal(captions))
    return groups.all()


def _join_by_words(groups: DisjointSets, first: npt.NDArray[np.int64]) -> None:
    """Join the groups of samples that have the same caption, whose *first* one each names: (n,); no group grows beyond `MOST_ALIKE` by it."""
    sizes = Counter(groups.all().tolist())
    uses = np.bincount(first, minlength=len(first))
    joined = (uses[first] <= MOST_ALIKE) & (first != np.arange(len(first)))
    # In their order, so that what is joined first, where not all can be, is always the same.
    for item in np.flatnonzero(joined).tolist():
        low, high = sorted((groups.find(int(first[item])), groups.find(item)))
        if low != high and sizes[low] + sizes[high] <= MOST_ALIKE:
            groups.join(low, high)
            sizes[low] += sizes.pop(high)


def first_equal(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the position of the first row that is equal to each of the (n, 32) *rows*: (n,)."""
    words = rows.view(np.uint64)
    order = np.lexsort(words.T)  # stable: of equal rows the first comes first
    ordered = words[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def near_pairs(hashes: npt.NDArray[np.uint8], images: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield pairs of images of which two hashes differ by at most `MAX_DISTANCE` bits, enough of them to connect almost every such pair.

    Rows are sorted by some permutation of the hash's 64 lowest frequencies, which a copy changes least, and compared with those behind them
    that have the first 16 bits in common; again for each of 32 permutations. Of pairs of copies within the distance, more than 99 in 100 meet in
    at least one (`tests/integration/etl/test_leaks.py`). Work grows as n log n. Source: Manku, Jain, Das Sarma, "Detecting
    near-duplicates for web crawling", WWW 2007.

    Args:
        hashes: (n, 32) bytes, 16 rows of 16 bits with the lowest frequencies at the top left, as `hash_pictures` returns them of a view.
        images: (n,) the number of the image that each hash is of.
    """
    # Equal hashes first: one of them stands for all, or a corpus full of black pictures would fill a bucket.
    first = first_equal(hashes)
    stands = first == np.arange(len(first))
    yield from _distinct(images[first[~stands]], images[~stands])
    rows = images[stands]
    distinct = hashes[stands]
    words = distinct.view(np.uint64)
    lowest = np.ascontiguousarray(distinct[:, :16:2]).view(np.uint64)[:, 0]
    rng = np.random.default_rng(0)
    for _ in range(_TABLES):
        keys = _permuted(lowest, rng.permutation(64))
        order = np.argsort(keys, kind="stable")
        buckets, ordered = keys[order] >> np.uint64(64 - _BUCKET_BITS), words[order]
        # Each row with the next of its bucket, then with the one after that, until no bucket reaches so far.
        at: npt.NDArray[np.int64] = np.arange(len(order) - 1)
        step = 1
        while step <= _REACH and len(at := at[buckets[at] == buckets[at + step]]):
            near = at[np.bitwise_count(ordered[at] ^ ordered[at + step]).sum(axis=1) <= MAX_DISTANCE]
            yield from _distinct(rows[order[near]], rows[order[near + step]])
            step += 1
            at = at[at + step < len(order)]


def _distinct(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the pairs that are of two images: the views of one are often near each other."""
    differ = one != other
    yield from zip(one[differ].tolist(), other[differ].tolist(), strict=True)


def _permuted(words: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return 64-bit *words* with their bits in another order, the first of *order* on top."""
    # Bit by bit for all values of a byte at each of its places, and then byte by byte for the words: a tenth of the work.
    places = np.arange(0, 64, 8, dtype=np.uint64)
    values = np.arange(256, dtype=np.uint64)[:, np.newaxis] << places
    moved = np.zeros_like(values)
    for bit in order.astype(np.uint64):
        moved = (moved << np.uint64(1)) | ((values >> bit) & np.uint64(1))
    permuted = np.zeros_like(words)
    for column, place in enumerate(places):
        permuted |= moved[(words >> place) & np.uint64(0xFF), column]
    return permuted
