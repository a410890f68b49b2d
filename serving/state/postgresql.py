"""PostgreSQL database of the state, which replicas share."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Table, create_engine, func, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from serving.state.advisory_locks import AdvisoryLocks, LockHeldError, LockLostError
from serving.state.database import BusyError, Database, StateError, original

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 10.0
"""How long sent data may stay unacknowledged, as when the server's machine is lost."""

_DISK_FULL = "53100"
_RETRYABLE = ("40001", "40P01", "55P03", "57014")
"""SQLSTATE of serialization failures, deadlocks, locks that were not free, and cancelled statements."""


class PostgreSQLDatabase(Database):
    """The database at *url*, over at most *connections*: one for each thread that uses it at once, and one for locks."""

    shared = True

    def __init__(self, url: URL, connections: int) -> None:
        self._where = f"{url.host or 'its socket'}:{url.port or 5432}"
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": int(_ANSWER_SECONDS * 1000)},
            pool_size=connections,
            max_overflow=0,
            pool_timeout=_ANSWER_SECONDS,
            # A server that was restarted is noticed before a connection is used, not by a failure.
            pool_pre_ping=True,
            hide_parameters=True,
        )
        super().__init__(engine, None)
        self._locks = AdvisoryLocks(engine)

    def insert(self, table: Table) -> postgresql.Insert:
        """Return an insert into *table* that can say what to do about a row that exists."""
        return postgresql.insert(table)

    @contextmanager
    def single_statement(self) -> Iterator[Connection]:
        """Run the block, which has one statement, without asking the server for a transaction around it.

        Raises:
            StateError: the database can't be used.
        """
        try:
            with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._describe(error) from error

    @contextmanager
    def repeatable(self) -> Iterator[Connection]:
        """Run the block as one transaction, which the server writes to its disk soon after.

        Raises:
            StateError: the database can't be used; the transaction is rolled back.
        """
        with self.transaction() as connection:
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            yield connection

    def take_turns(self, connection: Connection, subject: str) -> None:
        """Wait until no other transaction that named *subject* here is in progress."""
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(subject, 0))))

    @contextmanager
    def hold(self, subject: str, *, shared: bool = False) -> Iterator[None]:
        """Hold *subject* for the block, against other replicas.

        Raises:
            BusyError: another replica has held it for long.
            StateError: the database can't be used, or the connection was lost: another replica may have held *subject*.
        """
        try:
            with self._locks.hold(subject, shared=shared):
                yield
        except LockHeldError as error:
            raise BusyError("Another replica is busy with the same; it is tried again later.") from error
        except LockLostError as error:
            raise self._error("a connection with a lock was lost", away=True) from error
        except SQLAlchemyError as error:
            raise self._describe(error) from error

    def scrub(self) -> bool:
        """Do nothing: PostgreSQL reuses the room of deleted content, but never overwrites it on request."""
        return True

    def tidy(self) -> None:
        """Do nothing: PostgreSQL's autovacuum does this."""

    def _describe(self, error: SQLAlchemyError) -> StateError:
        cause = original(error)
        state = getattr(cause, "sqlstate", None)
        full = state == _DISK_FULL
        lost = isinstance(error, OperationalError | PoolTimeoutError) and not full
        away = lost or state in _RETRYABLE or (isinstance(error, DBAPIError) and error.connection_invalidated)
        return self._error(" ".join(str(cause).split()), full=full, away=away)

    def _error(self, reason: str, *, full: bool = False, away: bool = False) -> StateError:
        return StateError(
            f"The database at {self._where} can't be used ({reason}); check the server and DATABASE_URL.",
            full=full,
            away=away,
        )
