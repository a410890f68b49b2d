"""Sample selection: cached samples of a dataset version, feedback mixing, and prompts."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from snap2caption.datasets.manifest import Manifest, Split
from snap2caption.datasets.shards import Sample, read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.post import Emoji, Length, Request, build_prompt
from snap2caption.tone import infer_tone

WITHOUT_TONE = 0.3
"""Share of training prompts that name no tone, so that the model also writes for creators who choose none."""

_OPTION_SHARE = 0.15
"""Share of training prompts that name the length, the emoji or the location, so that these options do not drown out
the tone.
"""

PROMPTED = ("emoji", "length", "location", "tone")
"""Fields of `Request` that training prompts name. A model without instruction tuning follows no other option."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SplitSelection:
    """A selection of a split's samples: only *cities* (all if empty), and at most *per_city* of each.

    Within a city, the first samples in shard order are selected.
    """

    split: Split
    cities: Sequence[str] = ()
    per_city: int | None = None

    def quotas(self, manifest: Manifest) -> dict[str, int]:
        """Return the number of selected samples per city, from the manifest alone.

        Raises:
            UserError: a city is not in the split.
        """
        summary = manifest.splits.get(self.split)
        known = summary.cities if summary else {}
        if unknown := sorted(set(self.cities) - set(known)):
            raise UserError(
                f"The {self.split} split of {manifest.version} has no city {unknown[0]!r}; "
                f"it has {', '.join(sorted(known))}."
            )
        chosen = {city: known[city] for city in sorted(self.cities or known)}
        return {city: count if self.per_city is None else min(count, self.per_city) for city, count in chosen.items()}


@dataclass(frozen=True, slots=True)
class CachedDataset:
    """A dataset version whose shards are fetched on first use and cached in the folder *cache*."""

    source: DatasetVersion
    cache: Path

    @classmethod
    def open(cls, where: str, cache: Path) -> "CachedDataset":
        """Open the dataset version at the URI *where*, as `DatasetVersion.open` does."""
        return cls(DatasetVersion.open(where), cache)

    @property
    def uri(self) -> str:
        """The version's URI."""
        return self.source.uri

    @property
    def manifest(self) -> Manifest:
        """The version's manifest."""
        return self.source.manifest

    def samples(self, split: Split, cities: Sequence[str] = (), per_city: int | None = None) -> list[Sample]:
        """Return the samples of a `SplitSelection`, in shard order.

        Raises:
            UserError: a city is not in the dataset, the selection is empty, or a shard is missing or damaged.
        """
        quotas = SplitSelection(split, cities, per_city).quotas(self.manifest)
        taken: Counter[str] = Counter()
        samples = []
        for shard in self.manifest.splits[split].shards if quotas else ():
            if all(taken[city] >= quota for city, quota in quotas.items()):
                break
            for sample in read_shard(self.source.fetch(shard, self.cache), shard.name):
                if taken[sample.city] < quotas.get(sample.city, 0):
                    taken[sample.city] += 1
                    samples.append(sample)
        if not samples:
            raise UserError(f"The {split} split of dataset {self.manifest.version} is empty; make a larger dataset.")
        return samples


def mixed_in(samples: int, share: float) -> int:
    """Return how many samples to add to *samples* so that the added ones make up the fraction *share*."""
    return round(samples * share / (1 - share))


def mix(samples: Sequence[Sample], feedback: Sequence[Sample], share: float, seed: int) -> list[Sample]:
    """Return *samples* plus enough samples of *feedback* to make up the fraction *share*.

    Each feedback sample is repeated equally often, except for a remainder that is drawn with *seed*.
    """
    rounds, remainder = divmod(mixed_in(len(samples), share), len(feedback))
    drawn = random.Random(seed).sample(feedback, remainder)  # noqa: S311 - not a secret
    return [*samples, *[sample for _ in range(rounds) for sample in feedback], *drawn]


def training_prompt(sample: Sample, seed: int) -> str:
    """Return the training prompt of *sample*.

    It describes the post, and names each option for a random share of the samples.
    """
    # Seeded per sample: the same in every epoch, process and resumed run.
    rng = random.Random(f"{seed}:{sample.id}")  # noqa: S311 - not a secret
    caption = sample.post.caption
    return build_prompt(
        Request(
            tone=None if rng.random() < WITHOUT_TONE else infer_tone(caption),
            length=Length.of(caption) if rng.random() < _OPTION_SHARE else None,
            emoji=Emoji.of(caption) if rng.random() < _OPTION_SHARE else None,
            location=sample.city if rng.random() < _OPTION_SHARE else None,
        )
    )


def evaluation_prompt(sample: Sample) -> str:
    """Return the prompt that asks for a post in the tone of *sample*'s caption, as a creator would."""
    return build_prompt(Request(tone=infer_tone(sample.post.caption)))


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield *items* in chunks of *size*; the last chunk may be smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
