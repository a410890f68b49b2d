"""Shard shares: the samples that a selection takes from each shard.

They come from the manifest alone, so a stream knows its length before it fetches anything.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from snap2caption.datasets.manifest import Manifest, Shard
from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from training.data.posts import check_post
from training.data.samples import SplitSelection


@dataclass(frozen=True, slots=True)
class ShardShare:
    """A selection from one shard: the first samples of each city, as many as *cities* says, or all samples."""

    shard: Shard
    samples: int
    cities: Mapping[str, int] | None = None

    def choose(self, samples: Iterator[Sample], uri: str) -> Iterator[Sample]:
        """Yield those of the shard's *samples* that belong to the share.

        *uri* is the dataset version's URI, for error messages.

        Raises:
            UserError: a post is empty, or the shard has not as many samples as the manifest says.
        """
        taken: Counter[str] = Counter()
        for sample in samples:
            if self.cities is None or taken[sample.city] < self.cities.get(sample.city, 0):
                taken[sample.city] += 1
                check_post(sample)
                yield sample
        if taken.total() != self.samples:
            raise UserError(
                f"{self.shard.name} of {uri} does not match its manifest; run `snap2caption inspect {uri} --verify`."
            )


def find_shares(manifest: Manifest, selection: SplitSelection) -> list[ShardShare]:
    """Return the share of each shard that *selection* takes, in shard order, from the manifest alone.

    The shares hold the same samples as the selection from a cached dataset.

    Raises:
        UserError: the selection is empty, or the manifest does not say which cities are in which shard.
    """
    left = selection.quotas(manifest)
    if not any(left.values()):
        raise UserError(f"The {selection.split} split of dataset {manifest.version} is empty; make a larger dataset.")
    summary = manifest.splits[selection.split]
    if left == summary.cities:
        return [ShardShare(shard, shard.samples) for shard in summary.shards if shard.samples]
    shares = []
    for shard in summary.shards:
        if shard.cities is None:
            raise UserError(
                f"The manifest of {manifest.version} does not say which cities are in {shard.name}, so cities can't be "
                "selected from a stream; make the dataset again with `transform`, or set data.stream=false."
            )
        take = {city: min(count, shard.cities.get(city, 0)) for city, count in left.items()}
        left = {city: count - take[city] for city, count in left.items()}
        if any(take.values()):
            shares.append(ShardShare(shard, sum(take.values()), take))
    return shares
