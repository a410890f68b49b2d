"""Files that appear whole or not at all."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Give the path of a file to write, which then takes the name *path*, safe from a power cut if *synced*."""
    # Never the same name twice: a process that outlives its killed parent by a moment may still write.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield part
        if synced:
            sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the file, or the names in the folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
