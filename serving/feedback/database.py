"""The file that feedback waits in: SQLite, which flushes file and folder at each commit and leaves nothing half-written."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.private_files import make_private
from snap2caption.errors import UserError

_BUSY_SECONDS = 10.0
_SCRUB_TRIES = 20

_TABLES = """
CREATE TABLE IF NOT EXISTS kept (
    request TEXT PRIMARY KEY, creator TEXT NOT NULL, until REAL NOT NULL, bytes INTEGER NOT NULL, content TEXT NOT NULL, photo BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS kept_creator ON kept (creator, bytes);
CREATE TABLE IF NOT EXISTS feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, creator TEXT NOT NULL, submission TEXT NOT NULL, state TEXT NOT NULL,
    since REAL NOT NULL, bytes INTEGER NOT NULL, request TEXT, record TEXT, photo BLOB
);
CREATE INDEX IF NOT EXISTS feedback_waiting ON feedback (state, number);
CREATE INDEX IF NOT EXISTS feedback_creator ON feedback (creator);
CREATE INDEX IF NOT EXISTS feedback_since ON feedback (state, since);
CREATE INDEX IF NOT EXISTS feedback_waiting_bytes ON feedback (creator, bytes) WHERE bytes > 0;
DROP INDEX IF EXISTS feedback_bytes;
CREATE TABLE IF NOT EXISTS leaving (creator TEXT PRIMARY KEY, asked REAL NOT NULL);
CREATE TABLE IF NOT EXISTS rated (mark TEXT PRIMARY KEY, since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS unlearnt (id TEXT PRIMARY KEY, creator TEXT NOT NULL, caption TEXT NOT NULL);
"""


class DiskError(UserError):
    """The file can't be written to or read; nothing was changed. ``full``: because the disk is full."""

    def __init__(self, message: str, *, full: bool) -> None:
        """Keep *full* beside the message."""
        super().__init__(message)
        self.full = full


class Database:
    """The file at *path*. Threads take turns, and other processes may have it open too. What is removed is overwritten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        # A process that was killed may have left what it removed in the log.
        self._scrubbed = False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._explained():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # Before the first table: it can't be changed later. The file gives back what was removed.
            self._connection.execute("PRAGMA auto_vacuum = FULL")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._connection.executescript(_TABLES)
            make_private(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do what is inside wholly, on the disk once the block is left, or not at all.

        Raises:
            DiskError: the file can't be used.
        """
        with self._turn, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            before = self._connection.total_changes
            try:
                yield self._connection
                self._connection.execute("COMMIT")
                # The log now holds what was changed, too.
                self._scrubbed = self._scrubbed and self._connection.total_changes == before
            finally:
                # A full disk has SQLite roll back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def scrub(self) -> bool:
        """Empty the log, which still holds what was removed; return whether nobody was in the way. If somebody was, `tidy` does it later."""
        for _ in range(_SCRUB_TRIES):
            with self._turn, self._explained():
                self._scrubbed = not self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if self._scrubbed:
                    return True
            time.sleep(0.05)
        return False

    def tidy(self) -> None:
        """Empty the log if there may be something in it: SQLite itself begins it anew now and then, over what it held."""
        if not self._scrubbed:
            self.scrub()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            message = (
                f"The feedback in {self._path} can't be used ({error}); make room, or check the file and its rights."
            )
            raise DiskError(message, full=full) from error
        except OSError as error:
            message = f"The feedback in {self._path} can't be used ({error.strerror}); make room, or check its rights."
            raise DiskError(message, full=error.errno in {errno.ENOSPC, errno.EDQUOT}) from error
