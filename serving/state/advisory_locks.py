"""Session-level advisory locks of PostgreSQL: held across transactions, and free once their connection has ended.

<https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS>
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

_FIRST_WAIT, _MOST_WAIT = 0.02, 0.5
"""Seconds between attempts. Waiting in the database would keep other threads from the connection, and one of them could
have what the other process waits for.
"""

_LONGEST_SECONDS = 30.0

_AWAY_SECONDS = 1.0
"""How long no thread connects again after one has failed to: each attempt may take seconds, one after the other."""

_KEEPALIVE = ("tcp_keepalives_idle = 10", "tcp_keepalives_interval = 5", "tcp_keepalives_count = 4")
"""Settings by which the server ends the connection of a machine that is lost after half a minute, not after hours."""


class LockHeldError(Exception):
    """Another process has held a lock for long."""


class LockLostError(Exception):
    """A connection was lost with its locks, which another process may have held meanwhile."""


class AdvisoryLocks:
    """Locks over one connection of *engine*, which threads take turns with, for as long as one of them holds a lock.

    To PostgreSQL, all threads are one session, so they don't exclude each other.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._users = 0
        self._failed: tuple[float, SQLAlchemyError] | None = None
        """When connecting failed, and why."""

    @contextmanager
    def hold(self, subject: str, *, shared: bool = False) -> Iterator[None]:
        """Hold the lock of *subject* for the block. Several processes may hold it at once if all of them share it.

        Raises:
            LockHeldError: another process holds it.
            LockLostError: the connection was lost during the block.
            SQLAlchemyError: the database can't be used.
        """
        take, leave = (
            (func.pg_try_advisory_lock_shared, func.pg_advisory_unlock_shared)
            if shared
            else (func.pg_try_advisory_lock, func.pg_advisory_unlock)
        )
        with self._connected():
            deadline, pause = time.monotonic() + _LONGEST_SECONDS, _FIRST_WAIT
            while not self._ask(take, subject):
                if time.monotonic() > deadline:
                    raise LockHeldError
                time.sleep(pause)
                pause = min(2 * pause, _MOST_WAIT)
            try:
                yield
            except BaseException:
                with suppress(SQLAlchemyError):
                    self._ask(leave, subject)
                raise
            if not self._ask(leave, subject):
                raise LockLostError

    @contextmanager
    def _connected(self) -> Iterator[None]:
        with self._turn:
            self._users += 1
        try:
            yield
        finally:
            with self._turn:
                self._users -= 1
                if not self._users and self._connection is not None:
                    self._connection.close()
                    self._connection = None

    def _ask(self, function: Callable[..., ColumnElement[Any]], subject: str) -> bool:
        with self._turn:
            if self._connection is None:
                self._connection = self._connect()
            try:
                found = self._connection.execute(select(function(func.hashtextextended(subject, 0)))).scalar()
            except SQLAlchemyError:
                # Back in the pool, it would keep the locks of all threads. They go with it, and their holders find out
                # when they let go of them.
                self._connection.invalidate()
                self._connection.close()
                self._connection = None
                raise
        return bool(found)

    def _connect(self) -> Connection:
        if self._failed and time.monotonic() - self._failed[0] < _AWAY_SECONDS:
            raise self._failed[1]
        with ExitStack() as opened:
            try:
                connection = opened.enter_context(self._engine.connect())
                connection.execution_options(isolation_level="AUTOCOMMIT")
                for setting in _KEEPALIVE:
                    connection.execute(text(f"SET {setting}"))
            except SQLAlchemyError as error:
                self._failed = time.monotonic(), error
                raise
            opened.pop_all()
        return connection
