"""Near-duplicate detection: groups samples that must share a split, by image and by distinctive caption.

Similar pictures always stay together, however many they are. Captions join samples only where they indicate a
common source: `etl.transform.cleaning.check` skips captions that anybody may write; here, captions that many
samples share, or that would make a group large, join nothing.
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

Measured on rendered scenes and photographs: each copy that was re-encoded, resized, brightened by a fifth or
cropped by up to 2 % per side has a view that differs from one of the original's by at most 48 bits. Of copies
cropped by up to 3 % per side 99.7 in 100 do, by up to 5 % 88. Of twelve million pairs of distinct scenes, three
are that close. A false positive costs little (two samples share a split); a miss is a leak.
"""

MAX_CAPTION_GROUP = 20
"""Largest group that captions may form. A caption of more samples is a common phrase or a template.

Pictures may form larger groups.
"""

_TABLES = 32
_BUCKET_BITS = 16
_REACH = 32
"""Maximum number of rows that a row is compared with per table, so work stays linear however similar a corpus is."""


class DisjointSets:
    """Disjoint sets (union-find) of the numbers 0 to *count* - 1, by smaller root with path halving."""

    def __init__(self, count: int) -> None:
        # A list would take five times the memory, and a NumPy array five times as long per number.
        self._parent = array("q", range(count))

    def find(self, item: int) -> int:
        """Return the set's smallest member."""
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        """Merge the sets of two numbers."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def all(self) -> npt.NDArray[np.int64]:
        """Return the smallest member of each number's set: (n,)."""
        return np.fromiter(map(self.find, range(len(self._parent))), dtype=np.int64, count=len(self._parent))


def group(captions: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the group of each of n samples, named after the position of its first member.

    Args:
        captions: (n, 32) digests of the captions' fingerprints.
        hashes: (n, 65) perceptual hashes of the images, as `hash_pictures` returns them. They are compared
            upright, so that mirrored and turned copies are found.
    """
    groups = _join_by_pictures(hashes, MAX_DISTANCE)
    _join_by_words(groups, first_occurrences(captions))
    return groups.all()


def group_pictures(hashes: npt.NDArray[np.uint8], max_distance: int = MAX_DISTANCE) -> npt.NDArray[np.int64]:
    """Return the group of each of n samples by their pictures alone, as `group` does.

    *max_distance*: bits by which copies may differ, at most `MAX_DISTANCE`.
    """
    return _join_by_pictures(hashes, max_distance).all()


def _join_by_pictures(hashes: npt.NDArray[np.uint8], max_distance: int) -> DisjointSets:
    groups = DisjointSets(len(hashes))
    upright, pictures = set_upright(hashes[:, :TURN], hashes[:, TURN])
    views = np.concatenate([upright[:, :VIEW_BYTES], upright[:, VIEW_BYTES:]])
    for one, other in near_pairs(views, np.tile(pictures, VIEWS), max_distance):
        groups.join(one, other)
    return groups


def _join_by_words(groups: DisjointSets, first: npt.NDArray[np.int64]) -> None:
    """Join the groups of samples with the same caption, unless the group would exceed `MAX_CAPTION_GROUP`.

    Args:
        groups: the groups so far; changed in place.
        first: (n,) the first sample with the same caption as each.
    """
    sizes = Counter(groups.all().tolist())
    uses = np.bincount(first, minlength=len(first))
    joined = (uses[first] <= MAX_CAPTION_GROUP) & (first != np.arange(len(first)))
    # In order, so that the result is deterministic where not all can be joined.
    for item in np.flatnonzero(joined).tolist():
        low, high = sorted((groups.find(int(first[item])), groups.find(item)))
        if low != high and sizes[low] + sizes[high] <= MAX_CAPTION_GROUP:
            groups.join(low, high)
            sizes[low] += sizes.pop(high)


def first_occurrences(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return for each of the (n, 32) *rows* the position of the first row that is equal to it: (n,)."""
    words = rows.view(np.uint64)
    order = np.lexsort(words.T)  # stable: the first of equal rows stays first
    ordered = words[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[begins][np.cumsum(begins) - 1]
    return first


def near_pairs(
    hashes: npt.NDArray[np.uint8], images: npt.NDArray[np.int64], max_distance: int = MAX_DISTANCE
) -> Iterator[tuple[int, int]]:
    """Yield pairs of images with hashes that differ by at most *max_distance* bits, enough to connect almost
    every such pair.

    Rows are sorted by a permutation of the hash's 64 lowest frequencies, which a copy changes least. Each is
    compared with the following rows that share its first 16 bits; this is repeated for 32 permutations. Of
    pairs of copies within the distance, more than 99 in 100 meet at least once
    (`tests/integration/etl/test_leaks.py`). Work grows as n log n. Source: Manku, Jain, Das Sarma, "Detecting
    near-duplicates for web crawling", WWW 2007.

    Args:
        hashes: (n, 32) bytes: 16 rows of 16 bits with the lowest frequencies at the top left, one view as
            `hash_pictures` returns it.
        images: (n,) the number of the image that each hash belongs to.
        max_distance: bits, at most `MAX_DISTANCE`.
    """
    # Equal hashes first: one of them represents all. Otherwise a corpus full of black pictures would fill a bucket.
    first = first_occurrences(hashes)
    is_first = first == np.arange(len(first))
    yield from _distinct(images[first[~is_first]], images[~is_first])
    rows = images[is_first]
    distinct = hashes[is_first]
    words = distinct.view(np.uint64)
    lowest = np.ascontiguousarray(distinct[:, :16:2]).view(np.uint64)[:, 0]
    rng = np.random.default_rng(0)
    for _ in range(_TABLES):
        keys = _permuted(lowest, rng.permutation(64))
        order = np.argsort(keys, kind="stable")
        buckets, ordered = keys[order] >> np.uint64(64 - _BUCKET_BITS), words[order]
        # Compare each row with the next one in its bucket, then with the one after that, until no bucket is
        # that long.
        at: npt.NDArray[np.int64] = np.arange(len(order) - 1)
        step = 1
        while step <= _REACH and len(at := at[buckets[at] == buckets[at + step]]):
            near = at[np.bitwise_count(ordered[at] ^ ordered[at + step]).sum(axis=1) <= max_distance]
            yield from _distinct(rows[order[near]], rows[order[near + step]])
            step += 1
            at = at[at + step < len(order)]


def _distinct(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of two different images: the views of one image are often near each other."""
    differ = one != other
    yield from zip(one[differ].tolist(), other[differ].tolist(), strict=True)


def _permuted(words: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return 64-bit *words* with their bits reordered; the first of *order* becomes the highest bit."""
    # Permute all 256 values of a byte at each of its positions, then combine bytes for the words: a tenth of
    # the work.
    places = np.arange(0, 64, 8, dtype=np.uint64)
    values = np.arange(256, dtype=np.uint64)[:, np.newaxis] << places
    moved = np.zeros_like(values)
    for bit in order.astype(np.uint64):
        moved = (moved << np.uint64(1)) | ((values >> bit) & np.uint64(1))
    permuted = np.zeros_like(words)
    for column, place in enumerate(places):
        permuted |= moved[(words >> place) & np.uint64(0xFF), column]
    return permuted
