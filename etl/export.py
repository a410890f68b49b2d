"""Export: a dataset version as plain files in the corpus's layout, for readers of a mounted store that can't
read shards.
"""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from etl.transform.cleaning.metadata import drop_metadata
from snap2caption.datasets.manifest import Shard, Split
from snap2caption.datasets.shards import Sample, read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.names import is_part
from snap2caption.parallel import in_threads
from snap2caption.post import render
from snap2caption.store import ObjectStore, open_store

FOLDERS: dict[Split, str] = {"train": "Training", "validation": "Evaluation", "test": "Testing"}

_DONE = ".exported"
"""Prefix with an empty object per shard whose samples have all been exported."""

_THREADS = 16
"""Small files are limited by latency, not by bandwidth."""


def export(dataset_uri: str, uri: str, *, on_progress: Callable[[int, int], None] | None = None) -> str:
    """Write each sample of a dataset version as a photo and a caption file under *uri*, by split.

    A photo becomes ``<Training|Evaluation|Testing>/cities_instagram/<city>/img_resized_1M/<id>.jpg``. Its post
    becomes ``…/captions_resized_1M/<id>.txt``, with the hashtags on a line of their own. An interrupted run
    resumes with the shard that it stopped at.

    Args:
        dataset_uri: the version's URI or folder.
        uri: the destination, used for this version alone.
        on_progress: called with the samples done and their total.

    Returns:
        *uri*.

    Raises:
        UserError: *uri* holds another version, a shard is damaged, or a sample's name is not a valid file name.
        StoreError: a store refused or is unavailable.
    """
    dataset, target = DatasetVersion.open(dataset_uri), open_store(uri)
    manifest = dataset.manifest
    keep_metadata = bool(manifest.settings.get("keep_metadata"))
    _claim(target, manifest.version)
    shards = [(split, shard) for split, summary in manifest.splits.items() for shard in summary.shards]
    total, done = sum(shard.samples for _, shard in shards), 0
    for split, shard in shards:
        mark = f"{_DONE}/{manifest.version}/{shard.name}"
        if not target.exists(mark):
            _export_shard(dataset, target, split, shard, keep_metadata)
            target.put(mark, b"", sha256=hashlib.sha256().hexdigest())
        done += shard.samples
        if on_progress:
            on_progress(done, total)
    return uri


def _claim(target: ObjectStore, version: str) -> None:
    for found in target.list(f"{_DONE}/"):
        other = found.key.split("/")[1]
        if other != version:
            raise UserError(f"{target.uri} holds the files of version {other}; give another URI for {version}.")


def _export_shard(
    dataset: DatasetVersion, target: ObjectStore, split: Split, shard: Shard, keep_metadata: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        samples = read_shard(dataset.fetch(shard, Path(folder)))
        for _ in in_threads(lambda sample: _put(target, FOLDERS[split], sample, keep_metadata), samples, _THREADS):
            pass


def _put(target: ObjectStore, folder: str, sample: Sample, keep_metadata: bool) -> None:
    # The names come from the corpus's members, or from the version's author.
    for name in (sample.city, sample.id):
        if not is_part(name):
            raise UserError(f"A sample is called {name!r}, which is not a valid file name; make the dataset again.")
    place = f"{folder}/cities_instagram/{sample.city}"
    text = render(sample.post) + "\n"
    # Versions made before metadata was dropped still have it.
    photo = sample.photo() if keep_metadata else drop_metadata(sample.photo()).photo
    for key, data in (
        (f"{place}/img_resized_1M/{sample.id}.jpg", photo),
        (f"{place}/captions_resized_1M/{sample.id}.txt", text.encode()),
    ):
        target.put(key, data, sha256=hashlib.sha256(data).hexdigest())
