"""Reading a dataset version: from any store, verified, kept on disk, and sampled by city."""

import hashlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from snap2caption.errors import UserError
from snap2caption.manifest import NAME, Manifest, Shard, Split
from snap2caption.post import Request, build_prompt
from snap2caption.shards import Sample, read_shard
from snap2caption.store import open_store
from snap2caption.tone import infer_tone

logger = logging.getLogger(__name__)

WITHOUT_TONE = 0.3
"""The share of training prompts that name no tone, so that the model also writes for a creator who asks for none."""

Item = TypeVar("Item")

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset version in a store. Shards are fetched when they are first read, and kept under *cache* by their digest."""

    uri: str
    manifest: Manifest
    cache: Path

    @classmethod
    def open(cls, uri: str, cache: Path) -> "Dataset":
        """Read the manifest of the dataset version at *uri* (``file://``, ``s3://``, ``swift://``).

        Raises:
            UserError: there is no dataset version at *uri*.
        """
        store = open_store(uri)
        with store.get(NAME) as stream:
            manifest = Manifest.parse(stream.read(), f"{uri}/{NAME}")
        return cls(uri, manifest, cache)

    def samples(self, split: Split, cities: Sequence[str] = (), per_city: int | None = None) -> list[Sample]:
        """Return the samples of a split in the order of its shards.

        Args:
            split: which one.
            cities: these only; all if empty.
            per_city: at most so many of each city, the first ones.

        Raises:
            UserError: a city is not in the dataset, no sample is left, or a shard is missing or damaged.
        """
        summary = self.manifest.splits.get(split)
        known = summary.cities if summary else {}
        if unknown := sorted(set(cities) - set(known)):
            raise UserError(
                f"The {split} split of {self.manifest.version} has no city {unknown[0]!r}; it has {', '.join(sorted(known))}."
            )
        wanted = set(cities or known)
        taken: Counter[str] = Counter()
        samples = []
        for shard in summary.shards if summary else ():
            if per_city is not None and all(taken[city] >= min(per_city, known[city]) for city in wanted):
                break
            for sample in read_shard(self._fetch(shard)):
                if sample.city in wanted and (per_city is None or taken[sample.city] < per_city):
                    taken[sample.city] += 1
                    samples.append(sample)
        if not samples:
            raise UserError(f"The {split} split of dataset {self.manifest.version} is empty; make a larger dataset.")
        return samples

    def count(self, split: Split, cities: Sequence[str] = (), per_city: int | None = None) -> int:
        """Return how many samples `samples` would return, by the manifest alone."""
        summary = self.manifest.splits.get(split)
        known = summary.cities if summary else {}
        found = [known.get(city, 0) for city in cities or known]
        return sum(found if per_city is None else [min(count, per_city) for count in found])

    def _fetch(self, shard: Shard) -> Path:
        path = self.cache / f"{shard.sha256}.tar"
        if path.is_file() and _digest(path) == shard.sha256:
            return path
        self.cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        digest = hashlib.sha256()
        logger.info("fetching %s/%s", self.uri, shard.name)
        with open_store(self.uri).get(shard.name) as source, partial.open("wb") as target:
            for chunk in _pieces(source.read):
                digest.update(chunk)
                target.write(chunk)
        if digest.hexdigest() != shard.sha256:
            partial.unlink()
            raise UserError(
                f"The shard {shard.name} of {self.uri} is damaged (its SHA-256 differs from the manifest's); load it again."
            )
        partial.rename(path)
        return path


def training_prompt(sample: Sample, seed: int) -> str:
    """Return the prompt that *sample* is trained with: its tone is named, but for a random share of the samples."""
    # Seeded by the sample alone: the same in every epoch, process and resumed run.
    if random.Random(f"{seed}:{sample.id}").random() < WITHOUT_TONE:  # noqa: S311 - not a secret
        return build_prompt(Request())
    return evaluation_prompt(sample)


def evaluation_prompt(sample: Sample) -> str:
    """Return the prompt that asks for a post like *sample*'s: in its tone, as a creator would ask for it."""
    return build_prompt(Request(tone=infer_tone(sample.post.caption)))


def chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield *items* in pieces of *size*; the last one may be smaller."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(_PIECE):
        yield chunk
