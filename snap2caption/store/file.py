"""A folder as an object store."""

import hashlib
import os
import shutil
import tempfile
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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=_PREFIX, delete=False) as draft:
                try:
                    if isinstance(source, bytes):
                        draft.write(source)
                    else:
                        with source.open("rb") as stream:
                            shutil.copyfileobj(stream, draft, 1 << 20)
                    draft.flush()
                    os.fsync(draft.fileno())
                    if _digest(Path(draft.name)) != sha256:
                        raise StoreError(f"{key} arrived damaged at {self.uri}; check the disk, then try again.")
                    Path(draft.name).replace(path)
                except BaseException:
                    Path(draft.name).unlink(missing_ok=True)
                    raise
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
        (self.root / key).unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
