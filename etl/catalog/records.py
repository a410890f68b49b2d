"""Records of a version as one local Parquet file per split."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from etl.transform.working_tables import write_table
from snap2caption.datasets.manifest import Split, SplitSummary
from snap2caption.datasets.records import record_schema, records_name
from snap2caption.datasets.shards import FileSlice, read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


def fetch_records(dataset: DatasetVersion, folder: Path) -> dict[Split, Path]:
    """Return verified copies of the version's record tables in *folder*.

    Those of a version made before there were any are made from its shards, one of which is on disk at a time.

    Raises:
        UserError: the version was withdrawn, a file is damaged, or the store is unavailable.
    """
    manifest = dataset.manifest
    if manifest.withdrawn:
        raise UserError(f"The version at {dataset.uri} was withdrawn, as feedback in it was erased; give another one.")
    folder.mkdir(parents=True, exist_ok=True)
    if manifest.records is not None:
        return {split: dataset.fetch(file, folder) for split, file in manifest.records.items()}
    return {split: _from_shards(dataset, split, summary, folder) for split, summary in manifest.splits.items()}


def _from_shards(dataset: DatasetVersion, split: Split, summary: SplitSummary, folder: Path) -> Path:
    path = folder / records_name(split)
    write_table(path, record_schema(), _batches(dataset, summary, folder))
    return path


def _batches(dataset: DatasetVersion, summary: SplitSummary, folder: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    for shard in summary.shards:
        rows = []
        for sample in read_shard(dataset.fetch(shard, folder), shard.name):
            place, data = sample.content, sample.photo()
            assert isinstance(place, FileSlice)  # noqa: S101 - read_shard leaves photos in the file
            rows.append(
                {
                    "photo": "",
                    "id": sample.id,
                    "city": sample.city,
                    "caption": sample.post.caption,
                    "hashtags": list(sample.post.hashtags),
                    "group": sample.group,
                    "shard": shard.name,
                    "offset": place.offset,
                    "size": place.size,
                    "crc": crc32(data),
                }
            )
        dataset.drop(shard, folder)
        yield pa.RecordBatch.from_pylist(rows, record_schema())
