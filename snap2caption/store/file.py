"""File store: a folder as an object store."""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from snap2caption.store.base import MissingError, ObjectInfo, StoreError, ask_and_put, check_key, short_read
from snap2caption.store.upload_parts import blocks, check

_PREFIX = ".put-"
_MOST_MISSED = 1000
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


class FileStore:
    """A store whose objects are files under *root*. An object's digest is that of its bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = root.as_uri()
        self._swept: set[Path] = set()

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Write a temporary file, verify its digest, flush it to disk, and rename it."""
        path = self._place(key)
        with self._explained(key):
            # Only once per folder, because it may hold a hundred thousand files.
            if path.parent not in self._swept:
                self._swept.add(path.parent)
                _remove_leftovers(path.parent)
            with _draft(path) as stream:
                digest = hashlib.sha256()
                for block in blocks(source):
                    digest.update(block)
                    stream.write(block)
                check(source, digest.hexdigest(), sha256)
                stream.flush()
                os.fsync(stream.fileno())
                Path(stream.name).replace(path)

    def create(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Look for the file, and put it."""
        return ask_and_put(self, key, content, sha256)

    def _place(self, key: str) -> Path:
        """Return the path to store an object at. Its folders are inside the root, whatever symbolic links there are."""
        path = self.root / check_key(key)
        self._check_inside(path.parent, key)
        return path

    def _find(self, key: str) -> Path:
        """Return the path of an existing object, which must not be a symbolic link that leads out of the root."""
        path = self.root / check_key(key)
        self._check_inside(path, key)
        return path

    def _check_inside(self, path: Path, key: str) -> None:
        try:
            inside = path.resolve().is_relative_to(self.root.resolve())
        except RuntimeError:  # a link that leads to itself
            inside = False
        if not inside:
            raise StoreError(f"{key} is a link that leads out of {self.uri}; put the file itself there.")

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{key} can't be written to {self.uri} ({error.strerror}); make room or change the place."
            ) from error

    @contextmanager
    def get(self, key: str) -> Iterator[BinaryIO]:
        """Open the file."""
        try:
            stream = self._find(key).open("rb")
        except OSError as error:
            kind = MissingError if error.errno in _MISSING else StoreError
            raise kind(f"{self.uri} has no {key} ({error.strerror}); check the URI.") from error
        with stream:
            yield stream

    def read(self, key: str, start: int, size: int) -> bytes:
        """Read the range from the file."""
        with self.get(key) as stream:
            try:
                found = os.pread(stream.fileno(), size, start)
            except OSError as error:
                raise StoreError(
                    f"{key} in {self.uri} can't be read ({error.strerror}); check the disk, then try again."
                ) from error
        if len(found) < size:
            raise short_read(self.uri, key)
        return found

    def size(self, key: str) -> int:
        """Ask the file system."""
        with self.get(key) as stream:
            return os.fstat(stream.fileno()).st_size

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Walk the folder that *prefix* is in."""
        # Unlike Path.rglob, os.walk tolerates folders that are removed meanwhile.
        folder, _, _ = prefix.rpartition("/")
        walk = os.walk(self._find(folder) if folder else self.root)
        files = [Path(folder, name) for folder, _, names in walk for name in names if not name.startswith(_PREFIX)]
        keys = {path.relative_to(self.root).as_posix(): path for path in files}
        for key in sorted(keys):
            if key.startswith(prefix):
                try:
                    found = keys[key].stat()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise StoreError(f"{key} in {self.uri} can't be read ({error.strerror}); remove it.") from error
                # A put makes a new file, so its inode changes even if the clock's step is too coarse for its time to.
                tag = f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"
                yield ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), tag)

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Whether the file exists with that digest."""
        path = self._find(key)
        try:
            return path.is_file() and (sha256 is None or _digest(path) == sha256)
        except OSError as error:
            # A file with a name that is too long can't exist, and the file may have been removed meanwhile.
            if error.errno in {errno.ENAMETOOLONG, errno.ENOENT}:
                return False
            raise StoreError(f"{key} in {self.uri} can't be read ({error.strerror}); check its rights.") from error

    def delete(self, key: str) -> None:
        """Remove the file, temporary files of killed runs, and folders that become empty.

        Empty folders are removed because their names may reveal what was in them.
        """
        self.delete_all([key])

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove the files as `delete` does, and look for temporary files once per folder."""
        folders = set()
        for key in keys:
            path = self._place(key)
            with self._removing(key):
                path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders:
            with self._removing(folder.relative_to(self.root).as_posix()):
                _remove_leftovers(folder)
            with suppress(OSError):  # not empty, or gone
                for empty in (folder, *folder.parents):
                    if empty == self.root:
                        break
                    empty.rmdir()

    @contextmanager
    def _removing(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{key} can't be removed from {self.uri} ({error.strerror}); check its rights.") from error


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files in *folder* that have no writer.

    Their runs were killed, and the system released their locks.
    """
    found: list[Path] = []
    with suppress(FileNotFoundError, NotADirectoryError):
        found = [path for path in folder.iterdir() if path.name.startswith(_PREFIX)]
    for draft in found:
        with suppress(FileNotFoundError, BlockingIOError), draft.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.unlink()


@contextmanager
def _draft(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file next to *path*, which is locked while open and removed unless it is renamed.

    Missing folders are created.
    """
    with _create(path) as stream:
        try:
            yield stream
        finally:
            Path(stream.name).unlink(missing_ok=True)


def _create(path: Path) -> BinaryIO:
    missed = 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}").open("xb")
        except (FileNotFoundError, FileExistsError):
            # Another process removed the empty folder before the file was created, or mkdir found the folder and
            # then it was gone.
            missed += 1
            if missed > _MOST_MISSED:
                raise
            continue
        fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink:
            return stream
        # Another process removed it as a leftover before it was locked.
        stream.close()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
