import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from databases import BOTH
from pydantic import SecretStr
from setuptools import find_packages
from sqlalchemy import text

from serving.settings import ServingSettings
from serving.state import migrations
from serving.state.opening import open_database, sqlite_files
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import SCHEMAS, Section
from serving.voice.repository import VoiceStore
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

OF_BEFORE = """
CREATE TABLE captions (
    creator TEXT NOT NULL, id TEXT NOT NULL, caption TEXT NOT NULL, added REAL NOT NULL, PRIMARY KEY (creator, id)
);
INSERT INTO captions VALUES ('aisha', '1', 'from before', 1.0);
"""


@pytest.mark.parametrize("database_url", BOTH, indirect=True)
def test_the_migrations_make_what_the_queries_expect(database_url: SecretStr | None, tmp_path: Path) -> None:
    settings = ServingSettings(
        database_url=database_url,
        feedback_dir=tmp_path,
        voice_file=tmp_path / "voice.sqlite",
        key_file=tmp_path / "keys.sqlite",
    )
    for section in Section:
        if database_url is None and section not in sqlite_files(settings):
            continue
        database = open_database(settings, section)
        with database.transaction() as connection:
            context = MigrationContext.configure(connection)
            found = compare_metadata(context, SCHEMAS[section])
            # PostgreSQL holds the other sections' tables, too.
            mine = {table.name for table in SCHEMAS[section].sorted_tables}
            differences = [
                change for change in found if not change[0].startswith("remove_table") or change[1].name in mine
            ]
            differences = [
                change for change in differences if change[0] != "remove_index" or change[1].table.name in mine
            ]
        assert differences == []
        database.close()


def test_a_file_from_before_the_migrations_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "voice.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OF_BEFORE)
    for _ in range(2):
        database = SQLiteDatabase(path, Section.VOICES)
        assert VoiceStore(database).captions("aisha") == ["from before"]
        database.close()


def test_a_schema_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "voice.sqlite"
    database = SQLiteDatabase(path, Section.VOICES)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'voices_99'"))
    database.close()
    with pytest.raises(UserError, match="install that version"):
        SQLiteDatabase(path, Section.VOICES)


def test_a_wheel_has_all_migrations() -> None:
    root = Path(migrations.__file__).parents[3]
    folders = {path.parent for path in Path(migrations.__file__).parent.rglob("*_[0-9].py")}
    packages = find_packages(str(root), include=["serving.state*"])
    assert len(folders) == len(Section)
    assert {str(folder.relative_to(root)).replace("/", ".") for folder in folders} <= {*packages}
