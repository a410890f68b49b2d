"""Durable SQLite database of the feedback service: each commit is flushed to the disk, whole or not at all."""

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
    request TEXT PRIMARY KEY, creator TEXT NOT NULL, until REAL NOT NULL, bytes INTEGER NOT NULL,
    content TEXT NOT NULL, photo BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS kept_creator ON kept (creator, bytes);
CREATE TABLE IF NOT EXISTS feedback (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, creator TEXT NOT NULL,
    submission TEXT NOT NULL, state TEXT NOT NULL, since REAL NOT NULL, bytes INTEGER NOT NULL,
    request TEXT, record TEXT, photo BLOB
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
    """The database can't be read or written; nothing was changed. ``full`` says whether the disk is full."""

    def __init__(self, message: str, *, full: bool) -> None:
        """Store *full* with the message."""
        super().__init__(message)
        self.full = full


class Database:
    """The SQLite database at *path*. Threads and other processes may share it. Deleted content is overwritten."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        # A process that was killed may have left deleted content in the write-ahead log.
        self._scrubbed = False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._disk_errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # Shrinks the file after deletions. It must be set before the first table is created.
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
        """Close the database."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction, which is on the disk when the block ends.

        Raises:
            DiskError: the database can't be used; the transaction is rolled back.
        """
        with self._lock, self._disk_errors():
            self._connection.execute("BEGIN IMMEDIATE")
            before = self._connection.total_changes
            try:
                yield self._connection
                self._connection.execute("COMMIT")
                # The write-ahead log now holds the changed content, too.
                self._scrubbed = self._scrubbed and self._connection.total_changes == before
            finally:
                # If the disk is full, SQLite has already rolled back.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def scrub(self) -> bool:
        """Truncate the write-ahead log, which still holds deleted content.

        Returns:
            Whether it worked. It fails while another process reads; `tidy` does it later then.
        """
        for _ in range(_SCRUB_TRIES):
            with self._lock, self._disk_errors():
                self._scrubbed = not self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if self._scrubbed:
                    return True
            time.sleep(0.05)
        return False

    def tidy(self) -> None:
        """Truncate the write-ahead log if it may hold deleted content, which SQLite overwrites only now and then."""
        if not self._scrubbed:
            self.scrub()

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            message = (
                f"The feedback database {self._path} can't be used ({error}); "
                "free some disk space, or check the file and its permissions."
            )
            raise DiskError(message, full=full) from error
        except OSError as error:
            message = (
                f"The feedback database {self._path} can't be used ({error.strerror}); "
                "free some disk space, or check the file's permissions."
            )
            raise DiskError(message, full=error.errno in {errno.ENOSPC, errno.EDQUOT}) from error
