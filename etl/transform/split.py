"""Which split a group of samples belongs to."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

from snap2caption.manifest import Split

SHARES: tuple[tuple[Split, float], ...] = (("train", 0.8), ("validation", 0.1), ("test", 0.1))

# From the most to the least protected: new copies of a test sample go to test.
_PROTECTED: tuple[Split, ...] = ("test", "validation", "train")


def assign(ids: Sequence[str], groups: Sequence[int], seed: int, previous: Mapping[str, Split]) -> list[Split]:
    """Return the split of each sample.

    The share of a group is drawn by hashing the seed and the id of its first member, so it does not depend on what else is in the corpus:
    80/10/10 in expectation, in each city. An earlier assignment always stands; the rest of its group follows it.

    Args:
        ids: the samples' ids.
        groups: the group of each.
        seed: of the draw.
        previous: splits of samples in earlier versions.
    """
    earlier: dict[int, set[Split]] = defaultdict(set)
    for id_, group in zip(ids, groups, strict=True):
        if id_ in previous:
            earlier[group].add(previous[id_])
    drawn: dict[int, Split] = {}
    for group in set(groups):
        kept = [split for split in _PROTECTED if split in earlier[group]]
        drawn[group] = kept[0] if kept else draw(seed, ids[group])
    return [previous.get(id_) or drawn[group] for id_, group in zip(ids, groups, strict=True)]


def draw(seed: int, name: str) -> Split:
    """Draw a split for *name*: always the same for the same seed and name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    point = int.from_bytes(digest[:8]) / 2**64
    for split, share in SHARES:
        point -= share
        if point < 0:
            return split
    return "test"
