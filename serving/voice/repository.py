"""Voices: captions of each creator that their later ones are written like, in one SQLite file.

Several processes may share the file: SQLite's write-ahead log lets them read while one writes. What is removed is overwritten.
"""

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from serving.private_files import make_private
from snap2caption.errors import UserError

MOST = 50
"""Captions that are kept of a creator; the oldest go first."""

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

_OLDEST = """
DELETE FROM captions WHERE creator = :creator AND id NOT IN (
    SELECT id FROM captions WHERE creator = :creator ORDER BY added DESC, rowid DESC LIMIT :most
)
"""


class VoiceStore:
    """The captions in the file at *path*. A creator is the id that `serving.middleware.authentication` knows them by."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(_TABLE)
            make_private(path)

    def add(self, creator: str, caption: str, identifier: str | None = None) -> None:
        """Keep a caption that the creator wrote or accepted.

        Args:
            creator: who.
            caption: its prose, without hashtags.
            identifier: of the feedback that it came with. What came with the same one before is replaced.
        """
        with self._open() as connection:
            self._insert(connection, creator, identifier or uuid.uuid4().hex, caption)

    def replace(self, creator: str, captions: Sequence[str]) -> None:
        """Keep *captions*, the newest first, and nothing else of the creator."""
        with self._open() as connection:
            connection.execute("DELETE FROM captions WHERE creator = ?", (creator,))
            for caption in reversed(captions):
                self._insert(connection, creator, uuid.uuid4().hex, caption)
        self._scrub()

    def captions(self, creator: str, number: int = MOST) -> list[str]:
        """Return the creator's captions, the newest first, at most *number*."""
        wanted = "SELECT caption FROM captions WHERE creator = ? ORDER BY added DESC, rowid DESC LIMIT ?"
        with self._open() as connection:
            return [caption for (caption,) in connection.execute(wanted, (creator, number))]

    def remove(self, creator: str, identifier: str) -> None:
        """Erase the caption that came with a feedback; no error if there is none."""
        with self._open() as connection:
            connection.execute("DELETE FROM captions WHERE creator = ? AND id = ?", (creator, identifier))
        self._scrub()

    def forget(self, creator: str) -> None:
        """Erase all captions of the creator."""
        with self._open() as connection:
            connection.execute("DELETE FROM captions WHERE creator = ?", (creator,))
        self._scrub()

    def move(self, before: str, now: str) -> None:
        """Give a creator's captions to the id that they have now."""
        with self._open() as connection:
            connection.execute("UPDATE OR REPLACE captions SET creator = ? WHERE creator = ?", (now, before))
            connection.execute(_OLDEST, {"creator": now, "most": MOST})
        self._scrub()

    def _insert(self, connection: sqlite3.Connection, creator: str, identifier: str, caption: str) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO captions VALUES (?, ?, ?, ?)", (creator, identifier, caption, time.time())
        )
        connection.execute(_OLDEST, {"creator": creator, "most": MOST})

    def _scrub(self) -> None:
        """Let the log, which still holds what was removed, be overwritten too."""
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
                f"The voices in {self._path} can't be used ({error}); check the file and its rights."
            ) from error
