"""Representative subset of a split: proportional per city, as many near-duplicate groups as possible, deterministic."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from snap2caption.datasets.shards import Sample


def subset(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """Return at most *limit* of *samples*, in their order; all of them if *limit* is None.

    Places are allocated to cities by the Sainte-Laguë method, so a city's share is that of its samples. Within a
    city, each group contributes one sample before any contributes a second, because near-duplicates say little more
    than one of them. Which samples come first depends only on their ids.
    """
    if limit is None or len(samples) <= limit:
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
    return [samples[index] for index in sorted(index for _, _, index in seats[:limit])]
