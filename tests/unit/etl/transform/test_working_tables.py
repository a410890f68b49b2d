"""Working tables that outgrow memory, or the disk: one sentence that says which."""

from pathlib import Path

import pytest

from etl.transform import working_tables
from etl.transform.working_tables import batches, open_database
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
