"""A part of a split that stands for all of it: every city in proportion, as many groups as can be, the same in every run."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from snap2caption.datasets.shards import Sample


def subset(samples: Sequence[Sample], most: int | None) -> list[Sample]:
    """Return *most* of *samples* at most, in their order; None: all of them.

    Seats are given out by Sainte-Laguë's method, so a city's share is that of its samples. Within a city, each group sends one sample before any
    sends a second: near-duplicates tell little more than one of them. Which ones come first depends on the ids alone.
    """
    if most is None or len(samples) <= most:
        return list(samples)
    of_city: defaultdict[str, list[tuple[int, str, int]]] = defaultdict(list)
    sent: Counter[str] = Counter()
    drawn = sorted((hashlib.sha256(sample.id.encode()).hexdigest(), index) for index, sample in enumerate(samples))
    for digest, index in drawn:
        group = samples[index].group or samples[index].id
        of_city[samples[index].city].append((sent[group], digest, index))
        sent[group] += 1
    seats = sorted(
        ((place + 0.5) / len(members), city, index)
        for city, members in of_city.items()
        for place, (_, _, index) in enumerate(sorted(members))
    )
    return [samples[index] for index in sorted(index for _, _, index in seats[:most])]
