"""The keyring: which creator a key is of, asked at each request, so that what an operator changes holds at the next one."""

import hmac
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

from serving.keys.store import KeyState, StoredKey
from snap2caption.errors import UserError

_BUSY_SECONDS = 0.5
"""Readers wait for nobody but for whoever sets the file up."""

_LOOK = "SELECT digest, id, creator, name, created, expires, revoked FROM keys WHERE digest = ?"


class Keyring:
    """The keys of the store at *path*, and beside them those whose digests are *hashes*, each of which is a creator of its own.

    A key is found by its digest, by way of an index: what that costs does not grow with the number of keys. It is used by one thread.
    """

    def __init__(self, hashes: Collection[str], path: Path) -> None:
        self._hashes = {digest: digest for digest in hashes}
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._there: tuple[int, int] | None = None
        self._asked = bool(hashes)

    @property
    def asked(self) -> bool:
        """Whether a key is asked for: once there has been one it always is, whatever becomes of the file."""
        self._asked = self._asked or self._path.exists()
        return self._asked

    def creator(self, digest: str) -> str | None:
        """Return the creator whose key has the *digest*; None: no key has, or it has expired or was revoked.

        Raises:
            UserError: the store can't be read.
        """
        known = self._look(digest)
        if known is None:
            same = self._hashes.get(digest, "")
            # The index has found it already; how long it took tells of a digest, from which nobody gets to a key.
            return same if hmac.compare_digest(same, digest) else None
        same, key = known
        valid = key.state(time.time()) is KeyState.VALID
        return key.creator if hmac.compare_digest(same, digest) and valid else None

    def _look(self, digest: str) -> tuple[str, StoredKey] | None:
        try:
            connection = self._opened()
            row = connection.execute(_LOOK, (digest,)).fetchone() if connection else None
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"The keys in {self._path} can't be read ({error}); check the file.") from error
        return None if row is None else (row[0], StoredKey(*row[1:]))

    def _opened(self) -> sqlite3.Connection | None:
        """Return the file that is there now: one that was lost, or that another was put in place of, lets nobody in."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._close()
            return None
        there = found.st_dev, found.st_ino
        if there != self._there:
            self._close()
            # Never to make one.
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._there = there
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._there = None
