"""Split assignment: train, validation and test at 80/10/10 per city, stable across versions."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from snap2caption.datasets.manifest import SPLITS, Manifest, Split

SHARES: Final[dict[Split, float]] = {"train": 0.8, "validation": 0.1, "test": 0.1}
TOLERANCE = 0.02
"""Deviation of a city's shares above which a warning is given."""
MIN_CITY_SAMPLES = 50
"""Samples that a city needs for its shares to be checked: with fewer, one sample exceeds the tolerance."""

NONE = -1
"""Stands for a split's number: no split yet."""

_BLOCK = 1 << 16
"""Groups that are lists of Python numbers at a time."""
_TRAIN = SPLITS.index("train")
_FILLED: tuple[Split, ...] = ("test", "validation")
"""The splits with a quota, in the order in which they are filled.

Without a record, a sample that crosses a limit as a corpus grows moves to the neighboring split, so none moves
from test to train.
"""


def assign(
    ids: Iterable[str],
    cities: npt.NDArray[np.int32],
    groups: npt.NDArray[np.int32],
    seed: int,
    earlier: npt.NDArray[np.int8],
) -> npt.NDArray[np.int8]:
    """Return the split of each of n samples, as its position in `SPLITS`.

    Groups are ordered by hashing the seed and the id of their first member. A group goes to test if every city
    with samples in it has enough left of its test quota, a tenth of its samples; else to validation by the same
    rule; else to train. So each city's shares are exactly 80/10/10, whatever the sizes of its groups, unless
    they are too large for any quota. An earlier assignment is always kept; the rest of its group follows it,
    and both count towards the quota.

    Args:
        ids: the samples' ids, read once.
        cities: (n,) the number of each sample's city, from 0.
        groups: (n,) the group of each sample, named after the position of its first member.
        seed: seed of the order.
        earlier: (n,) the splits of an earlier version, or `NONE`.
    """
    # SPLITS is ordered from the least to the most protected: new copies of a test sample go to test.
    of_group = np.full(len(groups), NONE, dtype=np.int8)
    known = np.flatnonzero(earlier != NONE)
    np.maximum.at(of_group, groups[known], earlier[known])
    found = np.where(earlier == NONE, of_group[groups], earlier)
    left = _quotas(cities, found)
    is_open = (groups == np.arange(len(groups), dtype=groups.dtype)) & (of_group == NONE)
    positions = np.fromiter(
        (uniform_hash(seed, id_) for id_, wanted in zip(ids, is_open, strict=True) if wanted),
        np.float64,
        int(is_open.sum()),
    )
    firsts = np.flatnonzero(is_open).astype(np.int32)[np.argsort(positions, kind="stable")]
    sizes = np.bincount(groups, minlength=len(groups)).astype(np.int32)
    # The members of a group are adjacent, its first one in front. Most groups have one, and are left out.
    members = np.flatnonzero(sizes[groups] > 1).astype(np.int32)
    members = members[np.argsort(groups[members], kind="stable")]
    names = groups[members]
    for start in range(0, len(firsts), _BLOCK):
        here = firsts[start : start + _BLOCK]
        for first, city, size, at in zip(
            here.tolist(),
            cities[here].tolist(),
            sizes[here].tolist(),
            np.searchsorted(names, here).tolist(),
            strict=True,
        ):
            if size == 1:
                found[first] = _choose({city: 1}, left)
            else:
                rows = members[at : at + size]
                found[rows] = _choose(Counter(cities[rows].tolist()), left)
    return found


def _quotas(cities: npt.NDArray[np.int32], assigned: npt.NDArray[np.int8]) -> dict[Split, list[int]]:
    """Return for each split with a quota how many more samples of each city it has room for."""
    sizes = np.bincount(cities)
    quotas = {split: np.floor(SHARES[split] * sizes + 0.5).astype(np.int64) for split in _FILLED}
    for split, quota in quotas.items():
        quota -= np.bincount(cities[assigned == SPLITS.index(split)], minlength=len(sizes))
    return {split: quota.tolist() for split, quota in quotas.items()}


def _choose(group: Mapping[int, int], left: Mapping[Split, list[int]]) -> int:
    """Return the split of a *group*, given as samples per city, and subtract it from what is *left*."""
    for split in _FILLED:
        quota = left[split]
        if all(quota[city] >= count for city, count in group.items()):
            for city, count in group.items():
                quota[city] -= count
            return SPLITS.index(split)
    return _TRAIN


def find_imbalances(manifest: Manifest) -> list[str]:
    """Return warnings about a version's splits: an empty split, or a city whose shares are off by more than
    `TOLERANCE`.
    """
    splits = manifest.splits
    total = sum(summary.samples for summary in splits.values())
    found = [
        f"The split {name} is empty, as {total} samples in {_count_cities(manifest)} cities leave none for it; "
        "give a larger corpus."
        for name, summary in splits.items()
        if not summary.samples
    ]
    for city in sorted({city for summary in splits.values() for city in summary.cities}):
        counts = {name: summary.cities.get(city, 0) for name, summary in splits.items()}
        size = sum(counts.values())
        shares = {name: counts[name] / size for name in counts}
        if size >= MIN_CITY_SAMPLES and any(abs(shares[name] - SHARES[name]) > TOLERANCE for name in shares):
            percentages = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
            found.append(
                f"The shares of {city} are not 80/10/10: of its {size} samples, {percentages}. "
                "Near-duplicate pictures stay together, and earlier assignments are kept; "
                "look for templates or a picture that occurs many times, or split again without an earlier version."
            )
    return found


def _count_cities(manifest: Manifest) -> int:
    return len({city for summary in manifest.splits.values() for city in summary.cities})


def uniform_hash(seed: int, name: str) -> float:
    """Return a deterministic pseudo-random number from 0 to 1 for *seed* and *name*."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
