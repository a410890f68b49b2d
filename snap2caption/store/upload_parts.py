"""Upload parts: a file or bytes, read once to be verified, and cut into pieces that are sent in parallel."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import BinaryIO

from snap2caption.store.base import SourceError

AT_ONCE = 4
"""Parts of one object that are uploaded in parallel."""

_BLOCK = 1 << 20
_HASHING = BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A range of bytes that is sent in one request, with the MD5 that the store compares."""

    number: int
    start: int
    size: int
    md5: bytes


def cut(source: Path | bytes, sha256: str, limit: int) -> list[UploadPart]:
    """Return the pieces of *source*: one, which may be empty, or several of *limit* bytes (whole MiB), the last one
    shorter.

    One pass computes both checksums. What is sent later then usually comes from the system's page cache.

    Raises:
        SourceError: *source* can't be read, or its digest is not *sha256*.
    """
    # Hashing is CPU-bound: more threads than cores would only delay the first upload.
    with _HASHING:
        return _cut(source, sha256, limit)


def _cut(source: Path | bytes, sha256: str, limit: int) -> list[UploadPart]:
    whole, md5 = hashlib.sha256(), _new_md5()
    pieces: list[UploadPart] = []
    start = size = 0
    for block in blocks(source):
        if size - start == limit:
            pieces.append(UploadPart(len(pieces), start, limit, md5.digest()))
            start, md5 = size, _new_md5()
        whole.update(block)
        md5.update(block)
        size += len(block)
    check(source, whole.hexdigest(), sha256)
    return [*pieces, UploadPart(len(pieces), start, size - start, md5.digest())]


def check(source: Path | bytes, found: str, sha256: str) -> None:
    """Raise `SourceError` unless the computed digest is the expected one."""
    if found != sha256:
        raise SourceError(f"{_name(source)} is damaged (its SHA-256 is {found}, not {sha256}); make it again.")


def blocks(source: Path | bytes) -> Iterator[memoryview]:
    """Yield *source* in blocks of 1 MiB; the last may be shorter. A block is valid until the next one is requested.

    Raises:
        SourceError: *source* can't be read.
    """
    if isinstance(source, bytes):
        yield from (memoryview(source)[start : start + _BLOCK] for start in range(0, len(source), _BLOCK))
        return
    buffer = memoryview(bytearray(_BLOCK))
    with _readable(source), _open(source) as stream:
        while count := stream.readinto(buffer):
            yield buffer[:count]


@contextmanager
def open_piece(source: Path | bytes, piece: UploadPart) -> Iterator[BinaryIO]:
    """Open *source* at the start of *piece*.

    Raises:
        SourceError: *source* can't be opened.
    """
    with _readable(source):
        stream = _open(source)
    with stream:
        stream.seek(piece.start)
        yield stream


def _open(source: Path | bytes) -> io.BufferedReader | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


@contextmanager
def _readable(source: Path | bytes) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{_name(source)} can't be read ({error.strerror}); make it again.") from error


def _name(source: Path | bytes) -> str:
    return "What was to be stored" if isinstance(source, bytes) else str(source)


def _new_md5() -> "hashlib._Hash":
    # A transfer checksum, not a security measure.
    return hashlib.md5(usedforsecurity=False)
