"""Key store: digests of API keys with their creators, which services read while operators write."""

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import insert, or_, select, update

from serving.state.database import Database
from serving.state.tables import former_creators, keys
from snap2caption.errors import UserError

PREFIX = "s2c_"
"""Prefix of keys, so that secret scanners recognize them."""

_BYTES = 32


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
    """The keys in *database*, which services read while operators write."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        with self._database.single_statement() as connection:
            connection.execute(insert(keys).values(asdict(key) | {"digest": digest_of(secret.encode())}))
        return secret, key

    def adopt(self, digest: str) -> None:
        """Add a key whose digest was its creator's id so far, with a new creator id. A known key stays as it is."""
        key = StoredKey(secrets.token_hex(6), new_creator(), "from API_KEY_HASHES", time.time())
        new = self._database.insert(keys).values(asdict(key) | {"digest": digest})
        new = new.on_conflict_do_nothing(index_elements=["digest"])
        with self._database.transaction() as connection:
            if connection.execute(new.returning(keys.c.id)).first() is not None:
                connection.execute(insert(former_creators).values(id=digest, creator=key.creator))

    def former(self) -> dict[str, str]:
        """Return the old ids of adopted creators, with their new ids."""
        query = select(former_creators.c.id, former_creators.c.creator).order_by(former_creators.c.id)
        with self._database.single_statement() as connection:
            return {row.id: row.creator for row in connection.execute(query)}

    def look_up(self, digest: str) -> tuple[str, StoredKey] | None:
        """Return the key with a digest, after the digest as it is stored; None if there is none."""
        with self._database.single_statement() as connection:
            row = connection.execute(select(keys.c.digest, *_COLUMNS).where(keys.c.digest == digest)).first()
        return None if row is None else (row.digest, StoredKey(*row[1:]))

    def find(self, identifier: str) -> StoredKey:
        """Return a key's metadata by its id.

        Raises:
            UserError: there is no such key.
        """
        with self._database.single_statement() as connection:
            row = connection.execute(select(*_COLUMNS).where(keys.c.id == identifier)).first()
        if row is None:
            raise UserError(f"There is no key {identifier}; `snap2caption key list` shows all keys.")
        return StoredKey(*row)

    def keys(self, creator: str | None = None) -> list[StoredKey]:
        """Return the metadata of all keys, or of those of a creator, the oldest first."""
        query = select(*_COLUMNS).order_by(keys.c.created, keys.c.id)
        if creator is not None:
            query = query.where(keys.c.creator == creator)
        with self._database.single_statement() as connection:
            return [StoredKey(*row) for row in connection.execute(query)]

    def revoke(self, identifier: str, after: float = 0.0) -> StoredKey:
        """Revoke a key now, or *after* so many seconds. An earlier revocation takes precedence.

        Raises:
            UserError: there is no such key.
        """
        self.find(identifier)
        when = time.time() + after
        later = or_(keys.c.revoked.is_(None), keys.c.revoked > when)
        with self._database.single_statement() as connection:
            connection.execute(update(keys).where(keys.c.id == identifier, later).values(revoked=when))
        return self.find(identifier)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


_COLUMNS = (keys.c.id, keys.c.creator, keys.c.name, keys.c.created, keys.c.expires, keys.c.revoked)
