"""Set of names on disk, for sources with more names than memory should hold."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CACHE_KIB = 16 * 1024


class SeenNames:
    """Names that were seen, by 128 bits of their SHA-256: two names that share them do not occur."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, name: str) -> bool:
        """Add *name*, and return whether it is new."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:16]
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1


@contextmanager
def seen_names(path: Path) -> Iterator[SeenNames]:
    """Yield an empty set, whose file is at *path* and is removed afterwards."""
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    try:
        # Nothing of it is needed after a kill.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.execute("BEGIN")
        yield SeenNames(database)
    finally:
        database.close()
        path.unlink(missing_ok=True)
