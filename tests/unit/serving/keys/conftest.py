from pathlib import Path

import pytest

from serving.keys.store import KeyStore
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.sqlite"


@pytest.fixture
def keys(path: Path) -> KeyStore:
    return KeyStore(SQLiteDatabase(path, Section.KEYS))
