"""Object store interface."""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from snap2caption.errors import UserError


@dataclass(frozen=True, slots=True)
class StoreTimeouts:
    """Timeout and number of attempts for calls to a store."""

    seconds: float = 60.0
    """A connection counts as lost after this many seconds without a byte."""
    attempts: int | None = None
    """The most attempts per call. None: the default of `snap2caption.store.retry`."""


class StoreError(UserError):
    """The store refused, is unavailable, or does not hold the requested object."""


class MissingError(StoreError):
    """The store does not hold the requested object, or its bucket or container."""


class SourceError(StoreError):
    """The source of an upload can't be read, or its digest is not the expected one."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object's key, size, time of storage, and entity tag.

    The key is relative to the store's prefix, the size is in bytes, and the time is in UTC, by the store's clock.
    """

    key: str
    size: int
    modified: datetime
    tag: str
    """Changes with the object's content: the ETag of the listing, or of a file its inode, time and size."""


class ObjectStore(Protocol):
    """Objects under one prefix. Keys are relative, with forward slashes.

    A put is atomic: until it returns, readers see the previous object, or none. Errors are `StoreError`.
    """

    uri: str

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Store a file or bytes under *key*, verified by the store's checksum.

        The store keeps *sha256* (hex) with the object.

        Raises:
            SourceError: *source* can't be read, or has another digest. Nothing was stored.
        """
        ...

    def create(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Store *content* under *key* unless there is an object, and return whether it was stored.

        Where the store can do that in one request, of several at once only one is stored; elsewhere the last one is. If
        an answer was lost, the object that is there may be this one.
        """
        ...

    def get(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open the object for one sequential read. A lost connection is reopened at the same position.

        Raises:
            MissingError: there is no such object.
        """
        ...

    def read(self, key: str, start: int, size: int) -> bytes:
        """Return *size* bytes of the object from byte *start*, in one request.

        Raises:
            MissingError: there is no such object.
            StoreError: the object ends before these bytes do.
        """
        ...

    def size(self, key: str) -> int:
        """Return the number of the object's bytes.

        Unlike `list`, which may lag behind on Swift, this sees an object as soon as it was put.

        Raises:
            MissingError: there is no such object.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with *prefix*, in the order of their keys."""
        ...

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Whether the object exists.

        If *sha256* is given, also whether the object was stored with that digest, and is unchanged by the store's
        checksum.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object. A missing object is not an error."""
        ...

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove the objects, in as few requests as the store allows. Missing objects are no error.

        If this is interrupted, some of them are left, in no order.
        """
        ...


def ask_and_put(store: ObjectStore, key: str, content: bytes, sha256: str) -> bool:
    """Create an object as `ObjectStore.create` says, by two calls."""
    if store.exists(key):
        return False
    store.put(key, content, sha256=sha256)
    return True


def check_key(key: str) -> str:
    """Return *key* if it is valid. Some stores, proxies and folders would resolve dots in it.

    Raises:
        StoreError: it is not a valid key.
    """
    if key.startswith("/") or {".", ".."} & set(key.split("/")) or re.search(r"[\x00-\x1f\x7f]", key):
        raise StoreError(f"{key!r} is not the key of an object; give names with a slash between two.")
    return key


def short_read(uri: str, key: str) -> StoreError:
    """Return the error for an object that ends before the bytes that were asked for."""
    return StoreError(f"{key} in {uri} is shorter than it was; see whether it was replaced or damaged.")


def write_uri(scheme: str, container: str, prefix: str) -> str:
    """Return the URI that `open_store` parses into *container* and *prefix*."""
    quoted = re.sub(r"[%?#\x00-\x20]", lambda match: f"%{ord(match[0]):02X}", prefix)
    return f"{scheme}://{container}/{quoted}".rstrip("/")
