"""External bucket sort: rows are partitioned into files, and memory holds one of them."""

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
    number = max(1, math.ceil(rows / BUCKET_ROWS))
    found = batches(connection, _BUCKETED.format(query=query), {**parameters, "buckets": number})
    with partitioned(found, number, folder) as buckets:
        for bucket in buckets:
            with rows_of(bucket) as reader:
                rows_found = None if reader is None else reader.read_all()
            if rows_found is not None:
                yield from rows_found.sort_by("hash").drop_columns("hash").to_batches(BATCH)


@contextmanager
def partitioned(found: Iterable["pa.RecordBatch"], number: int, folder: Path) -> Iterator[Sequence[Path]]:
    """Write the rows of *found* to files by their column ``bucket``, which is left out; the files are gone afterwards.

    Args:
        found: the rows. What one batch has for a bucket becomes a batch there.
        number: the number of buckets.
        folder: where the files go, next to nothing else.

    Yields:
        A path for each bucket, for `rows_of`.

    Raises:
        OSError: the disk fails.
    """
    buckets = [folder / f"{place}.arrow" for place in range(number)]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        _partition(found, buckets)
        yield buckets
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def rows_of(bucket: Path) -> Iterator["pa.RecordBatchReader | None"]:
    """Open the rows of a bucket, to be read once; None if it has no rows."""
    import pyarrow as pa

    if not bucket.exists():
        yield None
        return
    with pa.OSFile(str(bucket)) as file:
        opened = pa.ipc.open_file(file)
        blocks = (opened.get_batch(number) for number in range(opened.num_record_batches))
        yield pa.RecordBatchReader.from_batches(opened.schema, blocks)


def _partition(found: Iterable["pa.RecordBatch"], buckets: Sequence[Path]) -> None:
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
