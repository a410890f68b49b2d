"""Which split a group of samples belongs to."""

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from snap2caption.manifest import SPLITS, Split

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.8), ("validation", 0.1), ("test", 0.1))

NONE = -1
"""In place of a split's number: no split yet."""


def assign(
    ids: Iterable[str], groups: npt.NDArray[np.int64], seed: int, earlier: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Return the split of each of n samples, as its position in `SPLITS`.

    The share of a group is drawn by hashing the seed and the id of its first member, so it does not depend on what else is in the corpus:
    80/10/10 in expectation, in each city. An earlier assignment always stands; the rest of its group follows it.

    Args:
        ids: the samples' ids, read once.
        groups: (n,) the group of each, named by the position of its first member.
        seed: of the draw.
        earlier: (n,) the splits of an earlier version, or `NONE`.
    """
    # From the least to the most protected, SPLITS has them: new copies of a test sample go to test.
    of_group = np.full(len(groups), NONE, dtype=np.int8)
    np.maximum.at(of_group, groups, earlier)
    for position, id_ in enumerate(ids):
        if groups[position] == position and of_group[position] == NONE:
            of_group[position] = SPLITS.index(draw(seed, id_))
    return np.where(earlier == NONE, of_group[groups], earlier)


def draw(seed: int, name: str) -> Split:
    """Draw a split for *name*: always the same for the same seed and name."""
    left = point(seed, name)
    for split, share in SHARES:
        left -= share
        if left < 0:
            return split
    return "test"


def point(seed: int, name: str) -> float:
    """Draw a number from 0 to 1 for *name*: always the same for the same seed and name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64
