"""Voice store: saved captions of each creator that new ones imitate, in one SQLite file.

Several processes may share the file: SQLite's write-ahead log lets them read while one writes. Deleted content is
overwritten.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from serving.private_files import make_private
from snap2caption.errors import UserError

MAX_CAPTIONS = 50
"""Saved captions per creator; beyond that, the oldest are deleted."""

_BUSY_SECONDS = 5.0

_TABLE = """
CREATE TABLE IF NOT EXISTS captions (
    creator TEXT NOT NULL,
    id TEXT NOT NULL,
    caption TEXT NOT NULL,
    added REAL NOT NULL,
    PRIMARY KEY (creator, id)
)
"""

_DELETE_OLDEST = """
DELETE FROM captions WHERE creator = :creator AND id NOT IN (
    SELECT id FROM captions WHERE creator = :creator ORDER BY added DESC, rowid DESC LIMIT :limit
)
"""


class VoiceStore:
    """The saved captions in the SQLite file at *path*, by the creator ids of `serving.middleware.authentication`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_TABLE)
            make_private(path)

    def add(self, creator: str, caption: str, identifier: str | None = None) -> None:
        """Save a caption that the creator wrote or accepted.

        Args:
            creator: the creator's id.
            caption: the caption's prose, without hashtags.
            identifier: id of the feedback that it came with. An earlier caption of the same feedback is replaced.
        """
        with self._open() as connection:
            self._insert(connection, creator, identifier or uuid.uuid4().hex, caption)

    def replace(self, creator: str, captions: Sequence[str]) -> None:
        """Replace all of the creator's saved captions by *captions*, the newest first."""
        with self._open() as connection:
            connection.execute("DELETE FROM captions WHERE creator = ?", (creator,))
            for caption in reversed(captions):
                self._insert(connection, creator, uuid.uuid4().hex, caption)
        self._scrub()

    def captions(self, creator: str, number: int = MAX_CAPTIONS) -> list[str]:
        """Return the creator's saved captions, the newest first, at most *number*."""
        query = "SELECT caption FROM captions WHERE creator = ? ORDER BY added DESC, rowid DESC LIMIT ?"
        with self._open() as connection:
            return [caption for (caption,) in connection.execute(query, (creator, number))]

    def remove(self, creator: str, identifier: str) -> None:
        """Erase the caption that came with a feedback, if there is one."""
        with self._open() as connection:
            connection.execute("DELETE FROM captions WHERE creator = ? AND id = ?", (creator, identifier))
        self._scrub()

    def forget(self, creator: str) -> None:
        """Erase all saved captions of the creator."""
        with self._open() as connection:
            connection.execute("DELETE FROM captions WHERE creator = ?", (creator,))
        self._scrub()

    def move(self, before: str, now: str) -> None:
        """Move a creator's captions from the id *before* to the id *now*."""
        with self._open() as connection:
            connection.execute("UPDATE OR REPLACE captions SET creator = ? WHERE creator = ?", (now, before))
            connection.execute(_DELETE_OLDEST, {"creator": now, "limit": MAX_CAPTIONS})
        self._scrub()

    def _insert(self, connection: sqlite3.Connection, creator: str, identifier: str, caption: str) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO captions VALUES (?, ?, ?, ?)", (creator, identifier, caption, time.time())
        )
        connection.execute(_DELETE_OLDEST, {"creator": creator, "limit": MAX_CAPTIONS})

    def _scrub(self) -> None:
        """Truncate the write-ahead log, which still holds deleted content."""
        with self._open() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction.

        Raises:
            UserError: the file can't be used.
        """
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA secure_delete = ON")
                with connection:
                    yield connection
        except sqlite3.Error as error:
            raise UserError(
                f"The voice file {self._path} can't be used ({error}); check the file and its permissions."
            ) from error
