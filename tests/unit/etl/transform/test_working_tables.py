"""Working tables that outgrow memory, or the disk: one sentence that says which."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl.transform import working_tables
from etl.transform.working_tables import batches, open_database, read_batches, read_group, write_table
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

_WIDE = """
SELECT repeat(sha256(range::VARCHAR), 30) AS caption FROM range(40000) ORDER BY sha256(range::VARCHAR)
"""


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_tables, "MEMORY", 40)


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs more than 40 MB of memory"), open_database(tmp_path) as connection:
        list(batches(connection, _WIDE))


def test_more_rows_get_more_memory(tmp_path: Path) -> None:
    with open_database(tmp_path, 10_000_000) as connection:
        assert sum(len(batch) for batch in batches(connection, _WIDE)) == 40_000


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"have no room in .*; free some space"), open_database(tmp_path) as connection:
        list(batches(connection.execute("SET max_temp_directory_size = '1MB'"), _WIDE))


def test_other_faults_of_the_disk_are_not_the_tables(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_database(tmp_path):
        (tmp_path / "corpus.zip").open()


def test_a_fault_without_a_message_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), open_database(tmp_path):
        raise BrokenPipeError


def test_a_table_is_read_without_holding_it(tmp_path: Path) -> None:
    path, rows, width = tmp_path / "table.parquet", 200_000, 64
    schema = pa.schema([("hash", pa.binary(width))])
    column = np.random.default_rng(0).integers(0, 256, rows * width, np.uint8)
    array = pa.Array.from_buffers(schema[0].type, rows, [None, pa.py_buffer(column)])
    write_table(path, schema, [pa.record_batch([array], schema)])
    del array
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for batch in read_batches(path, 1000, ["hash"]):
        most = max(most, pa.total_allocated_bytes() - before)
        seen += len(batch)
    assert seen == rows
    assert most < rows * width / 4


def test_a_table_tells_of_its_row_groups_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, schema = tmp_path / "table.parquet", pa.schema([("number", pa.int64())])
    read: list[Path] = []
    read_metadata = pq.read_metadata
    monkeypatch.setattr(pq, "read_metadata", lambda path: read.append(path) or read_metadata(path))
    for first in (0, 100):  # another table takes the place of the first one
        write_table(path, schema, [pa.record_batch([pa.array(range(first, first + 30))], schema)], 10)
        for number in range(3):
            numbers = read_group(path, number)["number"].to_pylist()
            assert numbers == list(range(first + 10 * number, first + 10 * number + 10))
    assert len(read) == 2
