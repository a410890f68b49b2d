"""The photos that the corpus holds out, so that no copy of one is learnt from by way of feedback."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etl.transform.files import written
from etl.transform.group import MAX_DISTANCE
from etl.transform.picture import HASH_BYTES, VIEWS, hash_picture
from etl.transform.reasons import Reason
from etl.transform.workers import start_workers
from snap2caption.dataset import Dataset
from snap2caption.manifest import Shard, Split
from snap2caption.shards import read_shard

HELD_OUT: tuple[Split, ...] = ("validation", "test")
"""From the less to the more protected."""

_WORDS = HASH_BYTES // 8


class HeldOut:
    """The perceptual hashes of a corpus version's photos in the splits that are not learnt from."""

    def __init__(self, hashes: Mapping[Split, npt.NDArray[np.uint64]]) -> None:
        self._hashes = hashes

    def split_of(self, image_hash: bytes) -> Split | None:
        """Return the most protected split that holds a photo which is nearly the same, or None. Every photo is compared, so none is missed."""
        views = np.frombuffer(image_hash, np.uint64).reshape(VIEWS, 1, -1)
        for split in reversed(HELD_OUT):
            held = self._hashes[split].reshape(-1, _WORDS // VIEWS)
            if bool((np.bitwise_count(held ^ views).sum(axis=2) <= MAX_DISTANCE).any()):
                return split
        return None


def read_held_out(corpus: Dataset, cache: Path, workers: int | None) -> HeldOut:
    """Hash the photos that *corpus* holds out. What a shard's photos hash to is kept in *cache*, by the shard's digest: versions share shards.

    Raises:
        UserError: a shard is damaged.
        StoreError: the store refused or is away.
    """
    cache.mkdir(parents=True, exist_ok=True)
    shards = [(split, shard) for split in HELD_OUT for shard in corpus.manifest.splits[split].shards]
    missing = [shard for _, shard in shards if not _kept(cache, shard).is_file()]
    with start_workers(workers) as pool:
        for shard, hashes in zip(missing, pool.run(_hash_shard, ((corpus, shard) for shard in missing)), strict=True):
            with written(_kept(cache, shard)) as part:
                part.write_bytes(hashes)
    found: dict[Split, list[npt.NDArray[np.uint64]]] = {split: [] for split in HELD_OUT}
    for split, shard in shards:
        found[split].append(np.frombuffer(_kept(cache, shard).read_bytes(), np.uint64).reshape(-1, _WORDS))
    empty = np.empty((0, _WORDS), np.uint64)
    return HeldOut({split: np.concatenate([empty, *parts]) for split, parts in found.items()})


def _kept(cache: Path, shard: Shard) -> Path:
    return cache / f"{shard.sha256}-{HASH_BYTES}.hashes"


def _hash_shard(corpus: Dataset, shard: Shard) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        hashes = [hash_picture(sample.photo()) for sample in read_shard(corpus.fetch(shard, Path(folder)))]
    return b"".join(one for one in hashes if not isinstance(one, Reason))
