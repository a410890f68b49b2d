"""Key lookup: finds the creator of an API key at each request, so that changes apply from the next request on."""

import hmac
import sqlite3
import time
from collections.abc import Collection
from pathlib import Path

from serving.keys.store import KeyState, StoredKey
from snap2caption.errors import UserError

_BUSY_SECONDS = 0.5
"""In WAL mode, readers wait only for a process that is creating the file."""

_FIND = "SELECT digest, id, creator, name, created, expires, revoked FROM keys WHERE digest = ?"


class Keyring:
    """The API keys of the store at *path*, and those with the digests *hashes*. Each of the latter is its own creator.

    An index finds a key by its digest, so the time of a lookup does not grow with the number of keys. A keyring is used
    by one thread.
    """

    def __init__(self, hashes: Collection[str], path: Path) -> None:
        self._hashes = {digest: digest for digest in hashes}
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._open_file: tuple[int, int] | None = None
        self._requires_key = bool(hashes)

    @property
    def requires_key(self) -> bool:
        """Whether requests need a key. Once a key has existed they always do, even if the file is lost."""
        self._requires_key = self._requires_key or self._path.exists()
        return self._requires_key

    def creator(self, digest: str) -> str | None:
        """Return the id of the creator whose key has the *digest*; None if there is none, or it is expired or revoked.

        Raises:
            UserError: the store can't be read.
        """
        found = self._find(digest)
        if found is None:
            stored = self._hashes.get(digest, "")
            # The lookup itself isn't constant-time. It can leak a digest, but nobody can derive a key from that.
            return stored if hmac.compare_digest(stored, digest) else None
        stored, key = found
        valid = key.state(time.time()) is KeyState.VALID
        return key.creator if hmac.compare_digest(stored, digest) and valid else None

    def _find(self, digest: str) -> tuple[str, StoredKey] | None:
        try:
            connection = self._connect()
            row = connection.execute(_FIND, (digest,)).fetchone() if connection else None
        except (sqlite3.Error, OSError) as error:
            raise UserError(f"The keys in {self._path} can't be read ({error}); check the file.") from error
        return None if row is None else (row[0], StoredKey(*row[1:]))

    def _connect(self) -> sqlite3.Connection | None:
        """Return a connection to the file that is at the path now, or None without a file.

        The keys of a file that was deleted or replaced are no longer valid.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._close()
            return None
        file = status.st_dev, status.st_ino
        if file != self._open_file:
            self._close()
            # mode=rw: never create the file.
            self._connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._open_file = file
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._open_file = None
