"""Store that counts its requests, as a store behind a network would get them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from snap2caption.store import ObjectInfo, ObjectStore

PAGE = 1000
"""Objects that a listing returns at a time: that of S3."""


class CountingStore:
    """Passes calls on to *store*, and counts them by what they do and the first folder of the key."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.uri = store.uri
        self.requests: Counter[str] = Counter()

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        self._count("put", key)
        self._store.put(key, source, sha256=sha256)

    def create(self, key: str, content: bytes, *, sha256: str) -> bool:
        self._count("create", key)
        return self._store.create(key, content, sha256=sha256)

    def get(self, key: str) -> AbstractContextManager[BinaryIO]:
        self._count("get", key)
        return self._store.get(key)

    def size(self, key: str) -> int:
        self._count("size", key)
        return self._store.size(key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for number, found in enumerate(self._store.list(prefix)):
            if number % PAGE == 0:
                self._count("list", prefix)
            yield found

    def exists(self, key: str, sha256: str | None = None) -> bool:
        self._count("exists", key)
        return self._store.exists(key, sha256)

    def delete(self, key: str) -> None:
        self._count("delete", key)
        self._store.delete(key)

    def delete_all(self, keys: Iterable[str]) -> None:
        keys = [*keys]
        if keys:
            self._count("delete", keys[0])
        self._store.delete_all(keys)

    def _count(self, what: str, key: str) -> None:
        self.requests[f"{what} {key.partition('/')[0]}"] += 1
