"""External bucket sort of wide rows by a hash: memory holds one bucket."""

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from etl.transform.working_tables import BATCH, batches

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
    buckets = [folder / f"{number}.arrow" for number in range(max(1, math.ceil(rows / BUCKET_ROWS)))]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        found = batches(connection, _BUCKETED.format(query=query), {**parameters, "buckets": len(buckets)})
        _divide(found, buckets)
        for bucket in buckets:
            yield from _sort(bucket)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _divide(found: Iterable["pa.RecordBatch"], buckets: Sequence[Path]) -> None:
    """Append each row to the file that its column ``bucket`` tells.

    `pyarrow.dataset.write_dataset` would do so, but keeps up to eight million rows in memory if the disk is slow.
    """
    import pyarrow as pa

    with ExitStack() as files:
        writers: dict[int, pa.RecordBatchFileWriter] = {}
        for batch in found:
            rows = batch.sort_by("bucket")
            numbers, starts = np.unique(rows["bucket"].to_numpy(), return_index=True)
            rows = rows.drop_columns("bucket")
            for number, start, stop in zip(numbers, starts, [*starts[1:], len(rows)], strict=True):
                if number not in writers:
                    # A writer that opens its file itself leaves it open if the disk is full.
                    file = files.enter_context(pa.OSFile(str(buckets[number]), "wb"))
                    writers[number] = files.enter_context(pa.ipc.new_file(file, rows.schema))
                writers[number].write_batch(rows.slice(start, stop - start))


def _sort(bucket: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    if bucket.exists():
        with pa.OSFile(str(bucket)) as file:
            rows = pa.ipc.open_file(file).read_all()
        yield from rows.sort_by("hash").drop_columns("hash").to_batches(BATCH)
