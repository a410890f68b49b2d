"""Which samples of which shards a selection takes, by the manifest alone: so a stream knows its length before anything is fetched."""

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
    """What is selected of a shard: the first so many of each city, or everything."""

    shard: Shard
    samples: int
    cities: Mapping[str, int] | None = None

    def choose(self, samples: Iterator[Sample], uri: str) -> Iterator[Sample]:
        """Yield those of the shard's *samples* that belong to the share; *uri* is the dataset version's, for errors.

        Raises:
            UserError: a post is empty, or there are not as many samples as the manifest says.
        """
        taken: Counter[str] = Counter()
        for sample in samples:
            if self.cities is None or taken[sample.city] < self.cities.get(sample.city, 0):
                taken[sample.city] += 1
                check_post(sample)
                yield sample
        if taken.total() != self.samples:
            raise UserError(
                f"{self.shard.name} of {uri} does not hold what the manifest says; see `snap2caption inspect {uri} --verify`."
            )


def find_shares(manifest: Manifest, selection: SplitSelection) -> list[ShardShare]:
    """Return what *selection* takes of each shard, in their order, by the manifest alone; the same samples as when they are cached.

    Raises:
        UserError: nothing is selected, or the manifest does not say which cities are in which shard.
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
                f"The manifest of {manifest.version} does not say which cities are in {shard.name}, so they can't be chosen from a stream; "
                "make the version again with `transform`, or set data.stream=false."
            )
        take = {city: min(count, shard.cities.get(city, 0)) for city, count in left.items()}
        left = {city: count - take[city] for city, count in left.items()}
        if any(take.values()):
            shares.append(ShardShare(shard, sum(take.values()), take))
    return shares
