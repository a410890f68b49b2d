"""The key store: digests of API keys and the creators behind them, in one SQLite file that services read while operators write it."""

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from serving.private_files import make_private
from snap2caption.errors import UserError

PREFIX = "s2c_"
"""What keys start with, so that whoever scans for leaked secrets knows one."""

_BYTES = 32
_BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, creator TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL, expires REAL, revoked REAL
);
CREATE TABLE IF NOT EXISTS former (id TEXT PRIMARY KEY, creator TEXT NOT NULL);
"""


class KeyState(StrEnum):
    """What a key is good for."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is kept of a key. Times are seconds of the epoch."""

    id: str
    """Names the key; no part of it."""
    creator: str
    name: str
    created: float
    expires: float | None = None
    revoked: float | None = None

    def state(self, now: float) -> KeyState:
        """Return what it is good for at *now*."""
        if self.revoked is not None and self.revoked <= now:
            return KeyState.REVOKED
        return KeyState.EXPIRED if self.expires is not None and self.expires <= now else KeyState.VALID


def digest_of(key: bytes) -> str:
    """Return a key's SHA-256 in hex. Keys of ours have 256 random bits, so that a slow hash would add nothing."""
    return hashlib.sha256(key).hexdigest()


def new_creator() -> str:
    """Return the id of a new creator: random, so that it tells of no key."""
    return secrets.token_hex(32)


class KeyStore:
    """The keys in the file at *path*, which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its log the rights of the file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            make_private(path)
        except OSError as error:
            raise UserError(f"The keys in {path} can't be used ({error.strerror}); check its rights.") from error
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)

    def add(self, creator: str, name: str = "", seconds: float | None = None) -> tuple[str, StoredKey]:
        """Make a key of *creator* that is valid for *seconds*, or for good; return it, which nobody can do again, and what is kept of it."""
        secret, now = PREFIX + secrets.token_urlsafe(_BYTES), time.time()
        key = StoredKey(secrets.token_hex(6), creator, name, now, None if seconds is None else now + seconds)
        with self._open() as connection:
            self._insert(connection, key, digest_of(secret.encode()))
        return secret, key

    def adopt(self, digest: str) -> None:
        """Take in a key that was its creator's id until now, and give the creator another; one that is known stays as it is."""
        key = StoredKey(secrets.token_hex(6), new_creator(), "from API_KEY_HASHES", time.time())
        with self._open() as connection:
            if connection.execute("SELECT 1 FROM keys WHERE digest = ?", (digest,)).fetchone() is None:
                self._insert(connection, key, digest)
                connection.execute("INSERT INTO former VALUES (?, ?)", (digest, key.creator))

    def former(self) -> dict[str, str]:
        """Return the ids that creators had before, and those that they have now."""
        with self._open() as connection:
            return dict(connection.execute("SELECT id, creator FROM former ORDER BY rowid"))

    def find(self, identifier: str) -> StoredKey:
        """Return a key by its id.

        Raises:
            UserError: there is none.
        """
        with self._open() as connection:
            row = connection.execute(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", (identifier,)).fetchone()  # noqa: S608
        if row is None:
            raise UserError(f"There is no key {identifier}; `snap2caption key list` names those that there are.")
        return StoredKey(*row)

    def keys(self, creator: str | None = None) -> list[StoredKey]:
        """Return all keys, or those of a creator, the oldest first."""
        wanted = f"SELECT {_COLUMNS} FROM keys WHERE creator = coalesce(?, creator) ORDER BY created, rowid"  # noqa: S608
        with self._open() as connection:
            return [StoredKey(*row) for row in connection.execute(wanted, (creator,))]

    def revoke(self, identifier: str, after: float = 0.0) -> StoredKey:
        """Let a key be good for nothing from now on, or *after* so many seconds; one that was revoked sooner stays so.

        Raises:
            UserError: there is none of that id.
        """
        self.find(identifier)
        with self._open() as connection:
            connection.execute(
                "UPDATE keys SET revoked = min(coalesce(revoked, :when), :when) WHERE id = :id",
                {"id": identifier, "when": time.time() + after},
            )
        return self.find(identifier)

    def _insert(self, connection: sqlite3.Connection, key: StoredKey, digest: str) -> None:
        connection.execute(
            "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key.id, digest, key.creator, key.name, key.created, key.expires, key.revoked),
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise UserError(
                f"The keys in {self._path} can't be used ({error}); check the file and its rights."
            ) from error


_COLUMNS = "id, creator, name, created, expires, revoked"
