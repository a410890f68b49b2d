"""Held-out protection: finds copies of photos that the corpus holds out, so that none is learned from via feedback."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etl.transform.atomic_files import atomic_write
from etl.transform.cleaning.orientation import TURNS, turned
from etl.transform.cleaning.picture import HASH_BYTES, TURN, VIEW_BYTES, VIEWS, hash_picture
from etl.transform.rejection_reasons import RejectionReason
from etl.transform.splitting.grouping import MAX_DISTANCE
from etl.transform.workers import start_workers
from snap2caption.datasets.manifest import Shard, Split
from snap2caption.datasets.shards import read_shard
from snap2caption.datasets.version import DatasetVersion

HELD_OUT: tuple[Split, ...] = ("validation", "test")
"""Ordered from the less to the more protected."""


class HeldOutPhotos:
    """Perceptual hashes of a corpus version's photos in the splits that are not learned from."""

    def __init__(self, hashes: Mapping[Split, npt.NDArray[np.uint8]]) -> None:
        self._views = {
            split: np.ascontiguousarray(rows[:, :TURN]).reshape(-1, VIEW_BYTES).view(np.uint64)
            for split, rows in hashes.items()
        }

    def split_of(self, image_hash: bytes) -> Split | None:
        """Return the most protected split with a near-duplicate of the photo, or None.

        The near-duplicate may be mirrored or turned. Every photo is compared in all orientations, so none is missed.
        """
        lying = np.frombuffer(image_hash, np.uint8)[np.newaxis, :TURN]
        views = np.concatenate([turned(lying, turn) for turn in TURNS]).reshape(len(TURNS) * VIEWS, 1, VIEW_BYTES)
        for split in reversed(HELD_OUT):
            if any(
                bool((np.bitwise_count(self._views[split] ^ view).sum(axis=1) <= MAX_DISTANCE).any())
                for view in views.view(np.uint64)
            ):
                return split
        return None


def read_held_out(corpus: DatasetVersion, cache: Path, workers: int | None) -> HeldOutPhotos:
    """Hash the photos that *corpus* holds out.

    The hashes of a shard's photos are kept in *cache*, by the shard's digest, as versions share shards.

    Raises:
        UserError: a shard is damaged.
        StoreError: the store refused or is unavailable.
    """
    cache.mkdir(parents=True, exist_ok=True)
    shards = [(split, shard) for split in HELD_OUT for shard in corpus.manifest.splits[split].shards]
    missing = [shard for _, shard in shards if not _kept(cache, shard).is_file()]
    with start_workers(workers) as pool:
        for shard, hashes in zip(missing, pool.run(_hash_shard, ((corpus, shard) for shard in missing)), strict=True):
            with atomic_write(_kept(cache, shard)) as part:
                part.write_bytes(hashes)
    found: dict[Split, list[npt.NDArray[np.uint8]]] = {split: [] for split in HELD_OUT}
    for split, shard in shards:
        found[split].append(np.frombuffer(_kept(cache, shard).read_bytes(), np.uint8).reshape(-1, HASH_BYTES))
    empty = np.empty((0, HASH_BYTES), np.uint8)
    return HeldOutPhotos({split: np.concatenate([empty, *parts]) for split, parts in found.items()})


def _kept(cache: Path, shard: Shard) -> Path:
    return cache / f"{shard.sha256}-{HASH_BYTES}.hashes"


def _hash_shard(corpus: DatasetVersion, shard: Shard) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        hashes = [hash_picture(sample.photo()) for sample in read_shard(corpus.fetch(shard, Path(folder)))]
    return b"".join(one for one in hashes if not isinstance(one, RejectionReason))
