"""Key store: digests of API keys with their creators, in one SQLite file that services read while operators write."""

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
"""Prefix of keys, so that secret scanners recognize them."""

_BYTES = 32
_BUSY_SECONDS = 5.0

_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, creator TEXT NOT NULL, name TEXT NOT NULL,
    created REAL NOT NULL, expires REAL, revoked REAL
);
CREATE TABLE IF NOT EXISTS former (id TEXT PRIMARY KEY, creator TEXT NOT NULL);
"""


class KeyState(StrEnum):
    """Validity of a key."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """Stored metadata of a key. Times are in seconds since the epoch."""

    id: str
    """Random id of the key, not derived from the key itself."""
    creator: str
    name: str
    created: float
    expires: float | None = None
    revoked: float | None = None

    def state(self, now: float) -> KeyState:
        """Return whether the key is valid, expired or revoked at time *now*."""
        if self.revoked is not None and self.revoked <= now:
            return KeyState.REVOKED
        return KeyState.EXPIRED if self.expires is not None and self.expires <= now else KeyState.VALID


def digest_of(key: bytes) -> str:
    """Return a key's SHA-256 in hex. Keys have 256 random bits, so a slow hash would add no security."""
    return hashlib.sha256(key).hexdigest()


def new_creator() -> str:
    """Return the id of a new creator. It is random, so that it reveals nothing about keys."""
    return secrets.token_hex(32)


class KeyStore:
    """The keys in the SQLite file at *path*, which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its write-ahead log the permissions of the database file.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            make_private(path)
        except OSError as error:
            raise UserError(
                f"The key file {path} can't be used ({error.strerror}); check the file's permissions."
            ) from error
        with self._open() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)

    def add(self, creator: str, name: str = "", seconds: float | None = None) -> tuple[str, StoredKey]:
        """Create a key.

        Args:
            creator: id of the key's creator.
            name: a name for operators.
            seconds: how long the key is valid; None: until it is revoked.

        Returns:
            The secret key, which is not stored, and its metadata.
        """
        secret, now = PREFIX + secrets.token_urlsafe(_BYTES), time.time()
        key = StoredKey(secrets.token_hex(6), creator, name, now, None if seconds is None else now + seconds)
        with self._open() as connection:
            self._insert(connection, key, digest_of(secret.encode()))
        return secret, key

    def adopt(self, digest: str) -> None:
        """Add a key whose digest was its creator's id so far, with a new creator id. A known key stays as it is."""
        key = StoredKey(secrets.token_hex(6), new_creator(), "from API_KEY_HASHES", time.time())
        with self._open() as connection:
            if connection.execute("SELECT 1 FROM keys WHERE digest = ?", (digest,)).fetchone() is None:
                self._insert(connection, key, digest)
                connection.execute("INSERT INTO former VALUES (?, ?)", (digest, key.creator))

    def former(self) -> dict[str, str]:
        """Return the old ids of adopted creators, with their new ids."""
        with self._open() as connection:
            return dict(connection.execute("SELECT id, creator FROM former ORDER BY rowid"))

    def find(self, identifier: str) -> StoredKey:
        """Return a key's metadata by its id.

        Raises:
            UserError: there is no such key.
        """
        with self._open() as connection:
            query = f"SELECT {_COLUMNS} FROM keys WHERE id = ?"  # noqa: S608 - a constant
            row = connection.execute(query, (identifier,)).fetchone()
        if row is None:
            raise UserError(f"There is no key {identifier}; `snap2caption key list` shows all keys.")
        return StoredKey(*row)

    def keys(self, creator: str | None = None) -> list[StoredKey]:
        """Return the metadata of all keys, or of those of a creator, the oldest first."""
        wanted = "creator = coalesce(?, creator)"
        query = f"SELECT {_COLUMNS} FROM keys WHERE {wanted} ORDER BY created, rowid"  # noqa: S608 - constants
        with self._open() as connection:
            return [StoredKey(*row) for row in connection.execute(query, (creator,))]

    def revoke(self, identifier: str, after: float = 0.0) -> StoredKey:
        """Revoke a key now, or *after* so many seconds. An earlier revocation takes precedence.

        Raises:
            UserError: there is no such key.
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
                f"The key file {self._path} can't be used ({error}); check the file and its permissions."
            ) from error


_COLUMNS = "id, creator, name, created, expires, revoked"
