"""Atomic file writes: a file appears completely or not at all."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_BLOCK = 8 << 20
"""Bytes that are hashed at a time."""


class Readable(Protocol):
    """An open file, or what reads like one."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into *buffer*; return the number of bytes, 0 at the end."""
        ...


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
    with path.open("rb", buffering=0) as stream:
        return digest_of_stream(stream)


def digest_of_stream(stream: Readable) -> str:
    """Return the SHA-256 in hex of the rest of *stream*.

    `hashlib.file_digest` reads 256 kB at a time, and waits for the GIL after each: it hardly advances beside a thread
    that runs Python code.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    while size := stream.readinto(buffer):
        digest.update(buffer[:size])
    return digest.hexdigest()
