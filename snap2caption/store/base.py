"""The interface of an object store."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from snap2caption.errors import UserError


@dataclass(frozen=True, slots=True)
class StoreTimeouts:
    """How long a store may keep its caller waiting."""

    seconds: float = 60.0
    """Without a byte, after which a connection counts as lost."""
    attempts: int | None = None
    """How often it is asked; None: as often as `snap2caption.store.retry` says."""


class StoreError(UserError):
    """The store refused, is away, or does not hold what was asked for."""


class SourceError(StoreError):
    """What was to be stored can't be read, or is not what it was said to be."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object's key, relative to the store's prefix, its size in bytes, and when it was stored, by the store's clock, in UTC."""

    key: str
    size: int
    modified: datetime


class ObjectStore(Protocol):
    """Objects under one prefix. Keys are relative, with forward slashes.

    A put is atomic: until it returns, readers see the object that was there before, or none. Errors are `StoreError`.
    """

    uri: str

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Store a file or some bytes under *key*, verified by the store's own checksum; *sha256* (hex) is kept with the object.

        Raises:
            SourceError: *source* can't be read, or has another digest. Nothing was stored.
        """
        ...

    def get(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open the object for reading, once and forwards. A connection that is lost is opened again where it was."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with *prefix*, in the order of their keys."""
        ...

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Whether the object is there; if *sha256* is given, also whether it was put with that digest and is the same by the store's checksum."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; no error if it is not there."""
        ...


def check_key(key: str) -> str:
    """Return *key*, if it is one: some stores and proxies would walk dots, and folders do.

    Raises:
        StoreError: it is none.
    """
    if key.startswith("/") or {".", ".."} & set(key.split("/")) or re.search(r"[\x00-\x1f\x7f]", key):
        raise StoreError(f"{key!r} is not the key of an object; give names with a slash between two.")
    return key


def write_uri(scheme: str, container: str, prefix: str) -> str:
    """Return the URI that `open_store` reads as *container* and *prefix*."""
    quoted = re.sub(r"[%?#\x00-\x20]", lambda match: f"%{ord(match[0]):02X}", prefix)
    return f"{scheme}://{container}/{quoted}".rstrip("/")
