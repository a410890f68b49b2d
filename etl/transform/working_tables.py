"""Working tables larger than memory: Parquet files that DuckDB queries.

They are written in order, and in row groups of a known size.
"""

import functools
import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etl.transform.atomic_files import atomic_write
from snap2caption.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection
    from pyarrow.parquet import FileMetaData

MEMORY = 256
"""Megabytes of memory for a query of few rows. Larger results spill to disk."""

_PER_ROW = 32
"""Bytes of memory that a query gets besides for each row. What spills still needs some: sorts and joins of ten million
pairs failed with 256 MB, and with half of this in the plan.
"""

_THREADS = 2
"""Fixed for every machine, as each thread needs memory of its own."""

_LACKS_MEMORY, _LACKS_DISK = "Out of Memory Error", "failed to offload"
"""What DuckDB says, also by way of the OSError of a result's reader. It says both of a disk that is full."""

BATCH = 10_000
"""Rows of a result that are in memory at a time."""


@contextmanager
def open_database(folder: Path, rows: int = 0) -> Iterator["DuckDBPyConnection"]:
    """Open an empty database for tables of at most *rows*. It spills those that outgrow memory to *folder*.

    Its threads finish in any order, so a query whose order matters needs ORDER BY.

    Raises:
        UserError: the disk has no room for the tables, or a query needs more memory than it has.
    """
    import duckdb

    megabytes = MEMORY + rows * _PER_ROW // 1_000_000
    connection = duckdb.connect(
        config={
            "memory_limit": f"{megabytes}MB",
            "threads": _THREADS,
            "temp_directory": str(folder / "spilled"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    try:
        with connection:
            yield connection
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        if isinstance(error, OSError) and _LACKS_MEMORY not in str(error):
            raise
        reason = str(error).splitlines()[0]
        if _LACKS_MEMORY in reason and _LACKS_DISK not in reason:
            raise UserError(
                f"A query of the working tables needs more than {megabytes} MB of memory ({reason}); it works with fewer "
                "pairs, and please report this with their number."
            ) from error
        raise UserError(
            f"The working tables have no room in {folder} ({reason}); free some space, then run it again."
        ) from error


def view(connection: "DuckDBPyConnection", name: str, *files: Path) -> None:
    """Make Parquet files with the same columns available to queries as the view *name*."""
    # A folder's name may contain [brackets].
    connection.read_parquet([glob.escape(str(file)) for file in files]).create_view(name)


def batches(
    connection: "DuckDBPyConnection", query: str, parameters: Mapping[str, object] | None = None, rows: int = BATCH
) -> Iterator["pa.RecordBatch"]:
    """Yield the result of *query* in batches of at most *rows*."""
    yield from connection.sql(query, params=parameters).to_arrow_reader(rows)


def read_batches(path: Path, rows: int, columns: Sequence[str] | None = None) -> Iterator["pa.RecordBatch"]:
    """Yield a table, or some of its *columns*, in batches of at most *rows*. Memory holds one row group."""
    import pyarrow.parquet as pq

    # By default, all that will be read is fetched first, and kept until the end.
    with pq.ParquetFile(path, pre_buffer=False) as table:
        yield from table.iter_batches(rows, columns=columns)


def read_group(path: Path, number: int, columns: Sequence[str] | None = None) -> "pa.Table":
    """Return row group *number* of a table, or some of its *columns*."""
    import pyarrow.parquet as pq

    status = path.stat()
    metadata = _read_metadata(path, status.st_ino, status.st_mtime_ns)
    with pq.ParquetFile(path, metadata=metadata, pre_buffer=False) as table:
        return table.read_row_group(number, columns=columns)


@functools.lru_cache(maxsize=1)
def _read_metadata(path: Path, *_identity: int) -> "FileMetaData":
    """Return what a table says of its row groups. Of 4,000, that takes twenty times as long to read as one of them."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path)


def digests(column: "pa.Array") -> npt.NDArray[np.uint8]:
    """Return a *column* of n binary values of one length as an array (n, bytes per value)."""
    rows = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, column.type.byte_width)
    return rows[column.offset :][: len(column)]


def write_table(path: Path, schema: "pa.Schema", found: Iterable["pa.RecordBatch"], group: int = BATCH) -> int:
    """Write a Parquet file with *group* rows per row group. The same rows give the same bytes, however they are
    batched.

    Returns:
        The number of rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    waiting: list[pa.RecordBatch] = []
    with atomic_write(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for batch in found:
            waiting.append(batch)
            rows += len(batch)
            while sum(map(len, waiting)) >= group:
                table = pa.Table.from_batches(waiting)
                writer.write_table(table.slice(0, group).combine_chunks().cast(schema), row_group_size=group)
                waiting = table.slice(group).to_batches()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting).combine_chunks().cast(schema), row_group_size=group)
    return rows
