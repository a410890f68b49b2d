"""Record tables of a version: the samples of each shard without their photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etl.transform.working_tables import read_group
from etl.transform.writing.shard_writer import SAMPLES_PER_SHARD, member_name
from snap2caption.datasets.manifest import Shard
from snap2caption.datasets.records import PhotoPlace, record_schema

if TYPE_CHECKING:
    import pyarrow as pa


def record_batch(posts: Path, number: int, shard: Shard, photos: Sequence[PhotoPlace]) -> "pa.RecordBatch":
    """Return the records of *shard*, which was written from row group *number* of the table *posts*.

    *photos* are the places of its photos, in order.
    """
    import pyarrow as pa

    rows = read_group(posts, number, ["id", "city", "caption", "hashtags", "group"])
    first = number * SAMPLES_PER_SHARD
    columns = {
        "photo": [member_name(first + place, "jpg") for place in range(len(photos))],
        "shard": [shard.name] * len(photos),
        **{name: list(values) for name, values in zip(PhotoPlace._fields, zip(*photos, strict=True), strict=True)},
        **{name: rows[name].combine_chunks() for name in rows.column_names},
    }
    return pa.RecordBatch.from_pydict(columns, schema=record_schema())
