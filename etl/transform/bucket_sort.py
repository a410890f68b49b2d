"""External bucket sort of wide rows by a hash: memory holds one bucket."""

import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from etl.transform.working_tables import BATCH

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

BUCKET_ROWS = 50_000
"""Rows per bucket, about. A post's row takes a kilobyte, and memory holds those of a bucket twice while it is sorted."""

_BUCKETED = """
SELECT *, (('0x' || left(hash, 4))::INTEGER * $buckets // 65536)::INTEGER AS bucket FROM ({query})
"""


def sorted_by_hash(
    connection: "DuckDBPyConnection", query: str, parameters: Mapping[str, object], rows: int, folder: Path
) -> Iterator["pa.RecordBatch"]:
    """Yield the result of *query* in the order of its column ``hash``, without that column.

    DuckDB's own sort fails on some hundred thousand rows with captions, whatever spills: it needs memory for a block of
    each sorted run. Hashes are spread evenly, so rows are first divided by ranges of them.

    Args:
        connection: the database.
        query: its result has ``hash``, hexadecimal digits of a cryptographic hash, each once.
        parameters: those of *query*.
        rows: the number of rows, about.
        folder: where the buckets go, next to nothing else. It is removed afterwards.

    Raises:
        OSError: the disk fails.
    """
    import pyarrow.dataset as ds

    buckets = max(1, math.ceil(rows / BUCKET_ROWS))
    shutil.rmtree(folder, ignore_errors=True)
    try:
        found = connection.sql(_BUCKETED.format(query=query), params={**parameters, "buckets": buckets})
        ds.write_dataset(found.to_arrow_reader(BATCH), folder, format="ipc", partitioning=["bucket"])
        for bucket in range(buckets):
            yield from _sort(folder / str(bucket))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sort(bucket: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow.dataset as ds

    if bucket.exists():
        yield from ds.dataset(bucket, format="ipc").to_table().sort_by("hash").drop_columns("hash").to_batches(BATCH)
