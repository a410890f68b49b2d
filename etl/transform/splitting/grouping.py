"""Near-duplicate detection: groups samples that must share a split, by image and by distinctive caption.

Similar pictures always stay together, however many they are. Captions join samples only where they indicate a
common source: `etl.transform.cleaning.check` skips captions that anybody may write; here, captions that many
samples share, or that would make a group large, join nothing.

What is compared lies on disk, and is read in parts, so memory holds a few numbers per sample and one part.
"""

import os
from array import array
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from etl.transform.cleaning.orientation import PARTS, count_upright, set_upright
from etl.transform.cleaning.picture import TURN, VIEW_BYTES, VIEWS
from etl.transform.splitting.spooled_rows import SpooledRows
from snap2caption.parallel import interleave

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
_BUCKET_SHIFT = np.uint64(64 - _BUCKET_BITS)
"""Number of lower bits of a key, which order the rows of a bucket."""
_REACH = 32
"""Maximum number of rows that a row is compared with per table, so work stays linear however similar a corpus is."""

_PART = 6_000_000
"""Rows that are compared in memory at a time: 32 bytes each, and 45 to sort and compare them. More rows are read from
the disk more than once.
"""
_MAX_ROWS = 9_000_000
"""Rows that all threads together may compare at a time, for the sake of memory."""
_BLOCK = 1 << 15
"""Rows that are compared at a time, so that they stay in a core's cache."""

Blocks = Iterable[npt.NDArray[np.uint8]]
"""Rows of bytes in blocks, which can be read more than once."""

_Pairs = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
_Part = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]
"""A permutation, the numbers of rows, and these rows."""


class DisjointSets:
    """Disjoint sets (union-find) of the numbers 0 to *count* - 1, by smaller root with path halving."""

    def __init__(self, count: int) -> None:
        # A list would take ten times the memory, and a NumPy array five times as long per number.
        self._parent = array("i", range(count))
        self._parents = np.frombuffer(self._parent, dtype=np.int32)

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

    def join_all(self, one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]) -> None:
        """Merge the sets of each of *one* (n,) and its counterpart in *other* (n,)."""
        while len(one):
            one, other = self._find_all(one), self._find_all(other)
            differ = one != other
            one, other = np.minimum(one[differ], other[differ]), np.maximum(one[differ], other[differ])
            # A root that is to be joined with several joins the smallest now, and is seen again for the others.
            np.minimum.at(self._parents, other, one)

    def _find_all(self, items: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        parents = self._parents
        while (parents[items] != items).any():
            parents[items] = parents[parents[items]]
            items = parents[items]
        return items

    def all(self) -> npt.NDArray[np.int32]:
        """Return the smallest member of each number's set: (n,)."""
        found = np.array(self._parent, dtype=np.int32)
        # Each round doubles the steps towards the root.
        while not np.array_equal(nearer := found[found], found):
            found = nearer
        return found


def group(captions: Blocks, hashes: Blocks, scratch: Path) -> npt.NDArray[np.int32]:
    """Return the group of each of n samples, named after the position of its first member.

    Args:
        captions: (n, 32) digests of the captions' fingerprints, in blocks.
        hashes: (n, 65) perceptual hashes of the images, as `hash_pictures` returns them, in blocks. They are compared
            upright, so that mirrored and turned copies are found.
        scratch: a folder for some 100 bytes per sample while this runs.
    """
    groups = _join_by_pictures(hashes, scratch, MAX_DISTANCE)
    with SpooledRows(scratch / "captions.rows", 32) as words:
        for block in captions:
            words.append(block)
        _join_by_words(groups, first_occurrences(words))
    return groups.all()


def group_pictures(hashes: Blocks, scratch: Path, max_distance: int = MAX_DISTANCE) -> npt.NDArray[np.int32]:
    """Return the group of each of n samples by their pictures alone, as `group` does.

    *max_distance*: bits by which copies may differ, at most `MAX_DISTANCE`.
    """
    return _join_by_pictures(hashes, scratch, max_distance).all()


def _join_by_pictures(hashes: Blocks, scratch: Path, max_distance: int) -> DisjointSets:
    groups = DisjointSets(sum(map(len, hashes)))
    with SpooledRows(scratch / "hashes.rows", VIEW_BYTES) as views:
        pictures = _spool_upright(hashes, views)
        for one, other in near_pairs(views, pictures, max_distance):
            groups.join_all(one, other)
    return groups


def _spool_upright(hashes: Blocks, views: SpooledRows) -> npt.NDArray[np.int32]:
    """Write all views of all upright hashes, and return the number of the picture of each hash: (m,).

    Those with the same view and turn are together, in the pictures' order.
    """
    counts = sum((count_upright(block[:, TURN]) for block in hashes), np.zeros(PARTS, dtype=np.int64))
    total = int(counts.sum())
    places = (np.cumsum(counts) - counts).tolist()
    pictures = np.empty(total, dtype=np.int32)
    start = 0
    for block in hashes:
        for part, (upright, chosen) in enumerate(set_upright(block[:, :TURN], block[:, TURN])):
            place = places[part]
            pictures[place : place + len(chosen)] = chosen + start
            for view in range(VIEWS):
                views.write(view * total + place, upright[:, view * VIEW_BYTES : (view + 1) * VIEW_BYTES])
            places[part] += len(chosen)
        start += len(block)
    return pictures


def _join_by_words(groups: DisjointSets, first: npt.NDArray[np.int32]) -> None:
    """Join the groups of samples with the same caption, unless the group would exceed `MAX_CAPTION_GROUP`.

    Args:
        groups: the groups so far; changed in place.
        first: (n,) the first sample with the same caption as each.
    """
    sizes = np.bincount(groups.all(), minlength=len(first)).astype(np.int32)
    uses = np.bincount(first, minlength=len(first)).astype(np.int32)
    # In order, so that the result is deterministic where not all can be joined.
    for start in range(0, len(first), _BLOCK):
        here = first[start : start + _BLOCK]
        items = np.arange(start, start + len(here))
        joined = (uses[here] <= MAX_CAPTION_GROUP) & (here != items)
        for item, other in zip(items[joined].tolist(), here[joined].tolist(), strict=True):
            low, high = sorted((groups.find(other), groups.find(item)))
            if low != high and sizes[low] + sizes[high] <= MAX_CAPTION_GROUP:
                groups.join(low, high)
                sizes[low] += sizes[high]


def first_occurrences(rows: SpooledRows) -> npt.NDArray[np.int32]:
    """Return for each of the *rows* (n, 32) the number of the first row that is equal to it: (n,)."""
    found = np.arange(len(rows), dtype=np.int32)
    for first, other in _equal_rows(rows):
        found[other] = first
    return found


def near_pairs(rows: SpooledRows, images: npt.NDArray[np.int32], max_distance: int = MAX_DISTANCE) -> Iterator[_Pairs]:
    """Yield pairs of images (n,), (n,) with hashes that differ by at most *max_distance* bits, enough to connect almost
    every such pair.

    Rows are sorted by a permutation of the hash's 64 lowest frequencies, which a copy changes least. Each is
    compared with the following rows that share its first 16 bits; this is repeated for 32 permutations. Of
    pairs of copies within the distance, more than 99 in 100 meet at least once
    (`tests/integration/etl/test_leaks.py`). Work grows as n log n. Source: Manku, Jain, Das Sarma, "Detecting
    near-duplicates for web crawling", WWW 2007.

    Args:
        rows: (n, 32) bytes: 16 rows of 16 bits with the lowest frequencies at the top left, one view as
            `hash_pictures` returns it.
        images: the numbers of the images that the hashes belong to, once or for each of several views in turn.
        max_distance: bits, at most `MAX_DISTANCE`.
    """
    # Equal hashes first: one of them represents all. Otherwise a corpus full of black pictures would fill a bucket.
    distinct = np.ones(len(rows), dtype=bool)
    for first, other in _equal_rows(rows):
        distinct[other] = False
        yield _distinct(images[first % len(images)], images[other % len(images)])
    permutations = np.random.default_rng(0)
    count = int(distinct.sum())
    if count <= _PART:
        whole = rows.select(distinct)
        parts: Iterable[_Part] = ((order, *whole) for order in (permutations.permutation(64) for _ in range(_TABLES)))
    else:
        parts = _read_parts(rows, distinct, permutations)
    threads = max(1, min(os.cpu_count() or 1, _MAX_ROWS // max(1, min(count, _PART))))

    def near_images(part: _Part) -> Iterator[_Pairs]:
        order, numbers, found = part
        for one, other in _near_in_part(found, order, max_distance):
            yield _distinct(images[numbers[one] % len(images)], images[numbers[other] % len(images)])

    yield from interleave(map(near_images, parts), threads)


def _read_parts(
    rows: SpooledRows, distinct: npt.NDArray[np.bool_], permutations: np.random.Generator
) -> Iterator[_Part]:
    """Yield the *distinct* rows for each permutation, in parts of at most `_PART` rows unless one bucket has more."""
    buckets = np.empty(len(rows), dtype=np.uint16)
    for _ in range(_TABLES):
        order = permutations.permutation(64)
        sizes = np.zeros(1 << _BUCKET_BITS, dtype=np.int64)
        for start, block in rows.blocks():
            here = slice(start, start + len(block))
            buckets[here] = _permuted(_lowest(block), order) >> _BUCKET_SHIFT
            sizes += np.bincount(buckets[here][distinct[here]], minlength=len(sizes))
        low = size = 0
        for bucket, count in enumerate([*sizes.tolist(), _PART + 1]):
            if size and size + count > _PART:
                yield (order, *rows.select(distinct & (buckets >= low) & (buckets < bucket)))
                low, size = bucket, 0
            size += count


def _near_in_part(rows: npt.NDArray[np.uint8], order: npt.NDArray[np.int64], max_distance: int) -> Iterator[_Pairs]:
    """Yield the positions of pairs of *rows* that are near each other, of those that one permutation brings together."""
    keys, sizes = _by_size(_permuted(_lowest(rows), order))
    sequence = _argsort(keys)
    buckets = (keys >> _BUCKET_SHIFT).astype(np.uint16)[sequence]
    del keys
    words = rows.view(np.uint64)
    # The rows of one bucket differ least in the first half of the words, which has the lowest frequencies.
    *firsts, third, fourth = (words[sequence, column] for column in range(words.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        # No bucket from here on is larger than this one.
        steps = min(_REACH + 1, int(sizes[buckets[start]]), len(rows) - start)
        one, other, distance = _candidates(third, fourth, start, steps, max_distance)
        near = buckets[one] == buckets[other]
        for word in firsts:
            one, other, distance = one[near], other[near], distance[near]
            distance += np.bitwise_count(word[one] ^ word[other])
            near = distance <= max_distance
        yield sequence[one[near]], sequence[other[near]]


def _by_size(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the *keys* with their buckets renamed, so that sorting them puts the largest bucket first; and the sizes
    of the buckets by their new names. The order within a bucket stays.
    """
    names = keys >> _BUCKET_SHIFT
    sizes = np.bincount(names.view(np.int64), minlength=1 << _BUCKET_BITS)
    largest_first = np.argsort(-sizes, kind="stable")
    renamed = np.empty(len(sizes), dtype=np.uint64)
    renamed[largest_first] = np.arange(len(sizes), dtype=np.uint64)
    return keys ^ (names ^ renamed[names]) << _BUCKET_SHIFT, sizes[largest_first]


def _candidates(
    third: npt.NDArray[np.uint64], fourth: npt.NDArray[np.uint64], start: int, steps: int, max_distance: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return the pairs of which these words alone differ by at most *max_distance* bits, and by how many: each row of
    the block at *start* with the next one, with the one after that, and so on, in fewer than *steps* steps.
    """
    ones: list[npt.NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    others = ones.copy()
    distances: list[npt.NDArray[np.uint8]] = [np.zeros(0, dtype=np.uint8)]
    changed = np.empty(_BLOCK, dtype=np.uint64)
    distance, more = np.empty(_BLOCK, dtype=np.uint8), np.empty(_BLOCK, dtype=np.uint8)
    for step in range(1, steps):
        size = min(_BLOCK, len(third) - start - step)
        here, there = slice(start, start + size), slice(start + step, start + step + size)
        np.bitwise_xor(third[here], third[there], out=changed[:size])
        np.bitwise_count(changed[:size], out=distance[:size])
        np.bitwise_xor(fourth[here], fourth[there], out=changed[:size])
        np.bitwise_count(changed[:size], out=more[:size])
        np.add(distance[:size], more[:size], out=distance[:size])
        found = np.flatnonzero(distance[:size] <= max_distance)
        ones.append(found + start)
        others.append(found + (start + step))
        distances.append(distance[found])
    return np.concatenate(ones), np.concatenate(others), np.concatenate(distances)


def _equal_rows(rows: SpooledRows) -> Iterator[_Pairs]:
    """Yield the numbers of the first of equal *rows* (n, 32), and those of the others."""
    # A part has rows to compare and, beside them, as many that are sorted.
    parts = -(-len(rows) // (_PART // 3))
    for part in range(parts):
        numbers: npt.NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        found: npt.NDArray[np.uint8] = np.zeros((0, rows.width), dtype=np.uint8)
        for more, block in rows.select_in_turn(partial(_is_in_part, part=part, parts=parts), _PART // 2):
            # What is equal so far is let go, so that a corpus of equal rows does not fill the memory.
            numbers, found = np.concatenate([numbers, more]), np.concatenate([found, block])
            del more, block
            first = _first_in(found)
            is_first = first == np.arange(len(first))
            yield numbers[first[~is_first]], numbers[~is_first]
            numbers, found = numbers[is_first], found[is_first]


def _is_in_part(rows: npt.NDArray[np.uint8], part: int, parts: int) -> npt.NDArray[np.bool_]:
    # The rest of a division is the same for equal rows, and spreads others evenly.
    found: npt.NDArray[np.bool_] = _sum(rows) % np.uint64(parts) == part
    return found


def _first_in(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return for each of the (n, 32) *rows* the position of the first row that is equal to it: (n,)."""
    words = rows.view(np.uint64)
    order = _argsort(_sum(rows), *words.T)
    begins = np.zeros(len(order), dtype=bool)
    begins[:1] = True
    for column in words.T:
        ordered = column[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
    first = np.empty(len(order), dtype=np.int32)
    first[order] = order[begins][np.cumsum(begins, dtype=np.int32) - 1]
    return first


def _sum(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return a number for each row, which mixes all its bits."""
    odd = np.uint64(0x9E3779B97F4A7C15)
    words = rows.view(np.uint64)
    mixed = words[:, 0] * odd
    for column in range(1, words.shape[1]):
        mixed = (mixed ^ words[:, column]) * odd
    found: npt.NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(32))
    return found


def _lowest(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the 64 lowest frequencies of each of the hashes (n, 32): (n,)."""
    return np.ascontiguousarray(rows[:, :16:2]).view(np.uint64)[:, 0]


def _argsort(keys: npt.NDArray[np.uint64], *more: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    """Return the positions (n,) of *keys* (n,) in ascending order; of equal ones by *more*, and then by position."""
    # Not stable, but five times as fast as what is: equal ones, most often few, are then put in order.
    order = np.argsort(keys).astype(np.int32)
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    at = np.flatnonzero(np.append(same, False) | np.append(False, same))
    equal = order[at]
    keys_in_turn: list[npt.NDArray[Any]] = [equal, *(key[equal] for key in more), ordered[at]]
    order[at] = equal[np.lexsort(keys_in_turn)]
    return order


def _distinct(
    one: npt.NDArray[np.int32], other: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the pairs of two different images: the views of one image are often near each other."""
    differ = one != other
    return one[differ], other[differ]


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
    for start in range(0, len(words), _BLOCK):
        block, found = words[start : start + _BLOCK], permuted[start : start + _BLOCK]
        for column, place in enumerate(places):
            found |= moved[:, column][(block >> place) & np.uint64(0xFF)]
    return permuted
