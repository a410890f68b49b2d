"""Sets of names on disk, for sources with more names than memory should hold.

They are SQLite's temporary databases: files without a name in ``TMPDIR`` (``/var/tmp``), which the system removes
however the process ends.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator

_CACHE_KIB = 4 * 1024


class SeenNames:
    """Names that were seen, by 128 bits of their SHA-256: two names that share them do not occur."""

    def __init__(self) -> None:
        self._database = _temporary("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, name: str) -> bool:
        """Add *name*, and return whether it is new."""
        digest = hashlib.sha256(_bytes(name)).digest()[:16]
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1

    def close(self) -> None:
        """Remove the names."""
        self._database.close()


class SortedNames:
    """Names in the order of their characters' codes."""

    def __init__(self, names: Iterable[str]) -> None:
        self._database = _temporary("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.executemany("INSERT OR IGNORE INTO names VALUES (?)", ((_bytes(name),) for name in names))

    def __iter__(self) -> Iterator[str]:
        for (name,) in self._database.execute("SELECT name FROM names ORDER BY name"):
            yield name.decode("utf-8", "surrogatepass")

    def __contains__(self, name: str) -> bool:
        found = self._database.execute("SELECT 1 FROM names WHERE name = ?", (_bytes(name),))
        return found.fetchone() is not None

    def close(self) -> None:
        """Remove the names."""
        self._database.close()


def _temporary(schema: str) -> sqlite3.Connection:
    database = sqlite3.connect("", isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    database.execute(schema)
    database.execute("BEGIN")
    return database


def _bytes(name: str) -> bytes:
    """Return *name* in UTF-8, whose order is that of its characters; halves of characters stay what they are."""
    return name.encode("utf-8", "surrogatepass")
