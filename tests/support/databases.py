"""Databases of the state for tests: a new one in a real PostgreSQL for each test, or SQLite's files."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, make_url

from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import sqlite_files
from serving.state.tables import Section
from serving.state.upgrade import _config

BOTH = ("sqlite", "postgresql")


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Yield the URL of an empty database on a server of `postgres_server`, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def end_connections(server: str, database: str) -> int:
    """End all connections to a database, and return how many there were."""
    with psycopg.connect(server, autocommit=True) as connection:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return connection.execute(query, [database]).rowcount


def set_open(server: str, database: str, *, to: bool) -> None:
    """Let nobody use a database, as if its server were away, or let everyone again."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS {to}")
        if not to:
            end_connections(server, database)


@contextmanager
def at_revision(settings: ServingSettings, revision: str) -> Iterator[Connection]:
    """Run the block in a transaction on a new database of feedback, with the schema of an earlier version."""
    if settings.database_url is not None:
        url = make_url(settings.database_url.get_secret_value()).set(drivername="postgresql+psycopg")
    else:
        settings.feedback_dir.mkdir()
        url = make_url(f"sqlite:///{sqlite_files(settings)[Section.FEEDBACK]}")
    engine = create_engine(url)
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection
    engine.dispose()


@contextmanager
def closed_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every database that is opened in the block: a service does so when its process ends."""
    opened: list[Database] = []
    open_one = Database.__init__

    def remember(self: Database, *arguments: object) -> None:
        opened.append(self)
        open_one(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "__init__", remember)
    yield
    for database in opened:
        database.close()
