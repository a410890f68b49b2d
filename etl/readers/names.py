"""Sets of names on disk, for sources with more names than memory should hold.

The system removes them however the process ends.
"""

import hashlib
from collections.abc import Iterable, Iterator

from snap2caption.temporary_database import open_temporary_database


class SeenNames:
    """Names that were seen, by 128 bits of their SHA-256: two names that share them do not occur."""

    def __init__(self) -> None:
        self._database = open_temporary_database()
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

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
        self._database = open_temporary_database()
        self._database.execute("CREATE TABLE names (name BLOB PRIMARY KEY) WITHOUT ROWID")
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


def _bytes(name: str) -> bytes:
    """Return *name* in UTF-8, whose order is that of its characters; halves of characters stay what they are."""
    return name.encode("utf-8", "surrogatepass")
