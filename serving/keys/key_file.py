"""Key file: reads API keys from an SQLite file that another process writes, replaces or deletes at any time."""

import sqlite3
from pathlib import Path

from serving.keys.store import StoredKey
from snap2caption.errors import UserError

_BUSY_SECONDS = 0.5
"""In WAL mode, readers wait only for a process that is creating the file."""

_FIND = "SELECT digest, id, creator, name, created, expires, revoked FROM keys WHERE digest = ?"


class KeyFile:
    """The keys in the file at *path*. It is used by one thread, the event loop's: a lookup takes microseconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._open_file: tuple[int, int] | None = None
        self._has_existed = False

    @property
    def requires_key(self) -> bool:
        """Whether requests need a key. Once a key has existed they always do, even if the file is lost."""
        self._has_existed = self._has_existed or self._path.exists()
        return self._has_existed

    async def look_up(self, digest: str) -> tuple[str, StoredKey] | None:
        """Return the key with a digest, after the digest as it is stored; None if there is none.

        Raises:
            UserError: the file can't be read.
        """
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
