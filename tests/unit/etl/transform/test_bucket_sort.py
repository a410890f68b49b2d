"""Bucket sort of wide rows: the order of DuckDB's own sort, with less memory."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from etl.transform import bucket_sort, working_tables
from etl.transform.bucket_sort import sorted_by_hash
from etl.transform.working_tables import open_database

pytestmark = pytest.mark.unit

_QUERY = """
SELECT range::VARCHAR AS id, repeat(sha256(range::VARCHAR), $width) AS caption, [range::VARCHAR] AS hashtags,
    sha256(range::VARCHAR) AS hash
FROM range($first, 1000000) WHERE range < $stop
"""


def ids(rows: int) -> list[str]:
    return sorted(map(str, range(rows)), key=lambda one: hashlib.sha256(one.encode()).hexdigest())


@pytest.mark.parametrize("rows", [0, 1, 49, 1000])
def test_rows_come_by_their_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(bucket_sort, "BUCKET_ROWS", 50)
    folder = tmp_path / "buckets"
    with open_database(tmp_path) as connection:
        found = list(sorted_by_hash(connection, _QUERY, {"first": 0, "stop": rows, "width": 1}, rows, folder))
    assert [one for batch in found for one in batch["id"].to_pylist()] == ids(rows)
    for batch in found:
        assert batch.schema.names == ["id", "caption", "hashtags"]
        assert batch["hashtags"].to_pylist() == [[one] for one in batch["id"].to_pylist()]
    assert not folder.exists()


def test_what_a_killed_run_left_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_sort, "BUCKET_ROWS", 5)
    folder, nine, one = tmp_path / "buckets", {"first": 0, "stop": 9, "width": 1}, {"first": 0, "stop": 1, "width": 1}
    with open_database(tmp_path) as connection:
        killed = sorted_by_hash(connection, _QUERY, nine, 9, folder)
        next(killed)
        assert len(list(folder.iterdir())) == 2
        # Of this one, a bucket is empty.
        found = sorted_by_hash(connection, _QUERY, one, 9, folder)
        assert pa.Table.from_batches(found)["id"].to_pylist() == ["0"]


def test_rows_outgrow_the_memory_of_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB's own sort of these rows fails, which is why there is another."""
    monkeypatch.setattr(working_tables, "MEMORY", 40)
    rows, parameters = 40_000, {"first": 0, "stop": 40_000, "width": 30}
    with open_database(tmp_path) as connection:
        with pytest.raises(Exception, match="Out of Memory"):
            for _ in connection.sql(f"{_QUERY} ORDER BY hash", params=parameters).to_arrow_reader(1000):
                pass
        batches = sorted_by_hash(connection, _QUERY, parameters, rows, tmp_path / "buckets")
        assert [one for batch in batches for one in batch["id"].to_pylist()] == ids(rows)
