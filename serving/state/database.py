"""Database interface of the state: durable transactions, each of which is kept whole or not at all."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from serving.state.tables import Section
from serving.state.upgrade import upgrade
from snap2caption.errors import UserError

NAMES = {
    Section.FEEDBACK: "The feedback database",
    Section.VOICES: "The voice file",
    Section.KEYS: "The key file",
}
"""What messages call the SQLite file of a section."""


class StateError(UserError):
    """The database can't be read or written; nothing was changed."""

    def __init__(self, message: str, *, full: bool = False, away: bool = False) -> None:
        """Store why with the message.

        Args:
            message: what failed and what to do.
            full: the disk is full.
            away: the server can't be reached, or has no time: the same may work later.
        """
        super().__init__(message)
        self.full = full
        self.away = away


class BusyError(UserError):
    """Another process has held a subject for long."""


class Database(ABC):
    """A database of the state. Threads and other processes may share it."""

    shared: bool
    """Whether replicas on other machines use it, too."""

    def __init__(self, engine: Engine, section: Section | None) -> None:
        """Open the database and bring its schema to this version.

        Args:
            engine: how to connect.
            section: the part of the state that is here; None: all of it.
        """
        self._engine = engine
        with self.transaction() as connection:
            self.take_turns(connection, "schema")
            upgrade(connection, section)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block as one transaction, which is durable when the block ends.

        Raises:
            StateError: the database can't be used; the transaction is rolled back.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._describe(error) from error

    @abstractmethod
    def repeatable(self) -> AbstractContextManager[Connection]:
        """Run the block as one transaction for something that may be done again.

        If the machine fails within about a second, the transaction may be lost, but none that comes after it is kept
        without it. If the process is killed, it is kept. It does not wait for the disk.

        Raises:
            StateError: the database can't be used; the transaction is rolled back.
        """

    @contextmanager
    def single_statement(self) -> Iterator[Connection]:
        """Run the block, which has one statement, as a transaction that costs one round trip to a server.

        Raises:
            StateError: the database can't be used.
        """
        with self.transaction() as connection:
            yield connection

    def check(self) -> None:
        """Check that the database answers.

        Raises:
            StateError: it does not.
        """
        with self.single_statement() as connection:
            connection.execute(text("SELECT 1"))

    @abstractmethod
    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """Return an insert into *table* that can say what to do about a row that exists."""

    @abstractmethod
    def take_turns(self, connection: Connection, subject: str) -> None:
        """Wait until no other transaction that named *subject* here is in progress."""

    @abstractmethod
    def hold(self, subject: str, *, shared: bool = False) -> AbstractContextManager[None]:
        """Hold *subject* for the block, against other processes that share the database and hold it in this way.

        Several of them may hold it at once if all of them share it. It is free again once this process has ended,
        however it did. Threads of one process don't exclude each other.

        Raises:
            BusyError: another process has held it for long.
            StateError: the database can't be used. If this is raised after the block, another process may have held
                *subject* meanwhile.
        """

    @abstractmethod
    def scrub(self) -> bool:
        """Overwrite deleted content where this is up to us, and return whether it worked."""

    @abstractmethod
    def tidy(self) -> None:
        """Overwrite deleted content if there may be some."""

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @abstractmethod
    def _describe(self, error: SQLAlchemyError) -> StateError:
        """Return the error as a sentence for an operator. It has no statement in it and no values."""


def original(error: SQLAlchemyError) -> BaseException:
    """Return the driver's own error: SQLAlchemy's message repeats the statement and its values."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
