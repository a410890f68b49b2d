"""Atomic file writes: a file appears completely or not at all."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to, then rename it to *path*. If *synced*, the file survives a power cut."""
    # The name is unique: a process that outlives its killed parent by a moment may still be writing.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield part
        if synced:
            sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flush the file, or the names in the folder, to disk (``fsync``)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def digest_of(path: Path) -> str:
    """Return the file's SHA-256 in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
