"""Seekable stream over an object in a store, read by ranges with read-ahead."""

import io
import os
from typing import Any

from snap2caption.store.base import ObjectStore

_READ_AHEAD = 1 << 20


def open_ranges(store: ObjectStore, key: str, buffer: int = _READ_AHEAD) -> io.BufferedReader:
    """Open the object for reads at any position, in requests of at least *buffer* bytes.

    For formats with a directory at their end, such as zip and Parquet. `ObjectStore.get` is faster from start to end.

    Raises:
        MissingError: there is no such object.
    """
    return io.BufferedReader(_Ranges(store, key), buffer)


class _Ranges(io.RawIOBase):
    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store, self._key = store, key
        self._size = store.size(key)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("a negative position")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        amount = max(0, min(len(buffer), self._size - self._at))
        if amount:
            buffer[:amount] = self._store.read(self._key, self._at, amount)
        self._at += amount
        return amount
