"""SQLite database of the state: one file, flushed at each commit, with deleted content overwritten."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from serving.private_files import make_private
from serving.state.database import NAMES, Database, StateError, original
from serving.state.tables import Section

_BUSY_SECONDS = 10.0
_SCRUB_TRIES = 20

_PAGE = 4096
_PAGES = {Section.FEEDBACK: 16384}
"""Bytes of a page where it is not `_PAGE`: a photo takes hundreds of small ones, each with a header and a checksum."""

_CACHE, _LOG = 24 << 20, 16 << 20
"""Bytes that are kept in memory, at most, and of the write-ahead log, after which it is copied to the file."""


class SQLiteDatabase(Database):
    """The database in the file at *path*, over one connection that threads take turns with."""

    shared = False

    def __init__(self, path: Path, section: Section) -> None:
        self._path = path
        self._name = NAMES[section]
        # A process that was killed may have left deleted content in the write-ahead log.
        self._scrubbed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its write-ahead log the permissions of the database file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            make_private(path)
            # The entry of a new file is durable only with its folder.
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise self._error(error.strerror) from error
        engine = create_engine(
            URL.create("sqlite", database=str(path)),
            connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
            poolclass=StaticPool,
            hide_parameters=True,
        )
        event.listen(engine, "connect", partial(_configure, page=_PAGES.get(section, _PAGE)))
        event.listen(engine, "begin", _begin)
        self._lock = threading.Lock()
        super().__init__(engine, section)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block as one transaction, which is on the disk when the block ends.

        Raises:
            StateError: the database can't be used; the transaction is rolled back.
        """
        with self._lock, self._transaction() as connection:
            yield connection

    @contextmanager
    def repeatable(self) -> Iterator[Connection]:
        """Run the block as one transaction, which is on the disk at the latest with the next one.

        Raises:
            StateError: the database can't be used; the transaction is rolled back.
        """
        with self._lock:
            self._pragma("synchronous = NORMAL")
            try:
                with self._transaction() as connection:
                    yield connection
            finally:
                self._pragma("synchronous = FULL")

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with super().transaction() as connection:
            before = _driver(connection).total_changes
            yield connection
            # The write-ahead log will hold the changed content, too.
            self._scrubbed = self._scrubbed and _driver(connection).total_changes == before

    def insert(self, table: Table) -> sqlite.Insert:
        """Return an insert into *table* that can say what to do about a row that exists."""
        return sqlite.insert(table)

    def take_turns(self, connection: Connection, subject: str) -> None:
        """Do nothing: of transactions that write, SQLite runs one at a time."""

    def hold(self, subject: str, *, shared: bool = False) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing: of the processes that share the file, one works on the outbox (`DeliveryLock`)."""
        return nullcontext()

    def scrub(self) -> bool:
        """Truncate the write-ahead log, which still holds deleted content.

        Returns:
            Whether it worked. It fails while another process reads; `tidy` does it later then.
        """
        for _ in range(_SCRUB_TRIES):
            with self._lock:
                self._scrubbed = self._checkpoint()
            if self._scrubbed:
                return True
            time.sleep(0.05)
        return False

    def tidy(self) -> None:
        """Truncate the write-ahead log if it may hold deleted content, which SQLite overwrites only now and then."""
        if not self._scrubbed:
            self.scrub()

    def _checkpoint(self) -> bool:
        (blocked,) = self._pragma("wal_checkpoint(TRUNCATE)")
        return not blocked[0]

    def _pragma(self, pragma: str) -> list[Any]:
        try:
            # Not in a transaction: SQLAlchemy would begin one.
            pooled = self._engine.raw_connection()
            try:
                cursor = pooled.cursor()
                cursor.execute(f"PRAGMA {pragma}")
                return list(cursor.fetchall())
            finally:
                pooled.close()
        except sqlite3.Error as error:
            raise self._error(error) from error
        except SQLAlchemyError as error:
            raise self._describe(error) from error

    def _describe(self, error: SQLAlchemyError) -> StateError:
        cause = original(error)
        return self._error(cause, full=getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL)

    def _error(self, cause: object, *, full: bool = False) -> StateError:
        return StateError(
            f"{self._name} {self._path} can't be used ({cause}); "
            "free some disk space, or check the file and its permissions.",
            full=full,
        )


def _configure(connection: sqlite3.Connection, _: Any, page: int) -> None:
    # Transactions are begun by `_begin`, and not by the driver.
    connection.isolation_level = None
    # This and the next are set before the first table is created, and in this order. An older file keeps its pages.
    connection.execute(f"PRAGMA page_size = {page}")
    # Shrinks the file after deletions.
    connection.execute("PRAGMA auto_vacuum = FULL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    # What one transaction changes fits, such as a claim's photos: otherwise it is written to the log again and again.
    connection.execute(f"PRAGMA cache_size = {-(_CACHE >> 10)}")
    # By default it would be a quarter, and each checkpoint waits for the disk twice.
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG // page}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver
