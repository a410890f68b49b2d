"""A folder as an object store."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from snap2caption.store.base import ObjectInfo, StoreError

_PREFIX = ".put-"


class FileStore:
    """Objects are files under *root*; an object's digest is that of its bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = root.as_uri()

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Copy, flush to the disk, compare, rename."""
        path = self.root / key
        draft = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("xb") as stream:
                    _copy(source, stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                if _digest(draft) != sha256:
                    raise StoreError(f"{key} arrived damaged at {self.uri}; check the disk, then try again.")
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{key} can't be written to {self.uri} ({error.strerror}); make room or change the place."
            ) from error

    @contextmanager
    def get(self, key: str) -> Iterator[BinaryIO]:
        """Open the file."""
        try:
            stream = (self.root / key).open("rb")
        except OSError as error:
            raise StoreError(f"{self.uri} has no {key} ({error.strerror}); check the URI.") from error
        with stream:
            yield stream

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Walk the folder that *prefix* lies in."""
        start = self.root / prefix.rpartition("/")[0]
        found = [path for path in start.rglob("*") if path.is_file() and not path.name.startswith(_PREFIX)]
        keys = {path.relative_to(self.root).as_posix(): path for path in found}
        for key in sorted(keys):
            if key.startswith(prefix):
                yield ObjectInfo(key, keys[key].stat().st_size)

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Whether the file is there, with that digest."""
        path = self.root / key
        return path.is_file() and (sha256 is None or _digest(path) == sha256)

    def delete(self, key: str) -> None:
        """Unlink the file."""
        try:
            (self.root / key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{key} can't be removed from {self.uri} ({error.strerror}); check its rights.") from error


def _copy(source: Path | bytes, target: BinaryIO) -> None:
    if isinstance(source, bytes):
        target.write(source)
        return
    with source.open("rb") as stream:
        shutil.copyfileobj(stream, target, 1 << 20)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
