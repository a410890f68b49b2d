"""Databases of the state for tests: a new one in a real PostgreSQL for each test, or SQLite's files."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from serving.state.database import Database

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
