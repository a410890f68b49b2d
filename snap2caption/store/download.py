"""Resumable download of an object."""

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from snap2caption.store.retry import Passing, persistently

_PIECE = 1 << 20


class ResponseBody(Protocol):
    """A response body, as a client library provides it."""

    def read(self, amount: int) -> bytes:
        """Return at most *amount* bytes, or none at the end."""
        ...

    def close(self) -> None:
        """Release the connection."""
        ...


class ResumingDownload(io.RawIOBase):
    """An object of *size* bytes as a stream that is read once.

    If the connection of its *body* is lost, *open_at* opens the rest from the current position.
    """

    def __init__(
        self,
        body: ResponseBody,
        size: int,
        open_at: Callable[[int], ResponseBody],
        passing: Passing,
        explained: Callable[[], AbstractContextManager[None]],
        attempts: int | None = None,
    ) -> None:
        self._body: ResponseBody | None = body
        self._at, self._size = 0, size
        self._open_at, self._passing, self._explained, self._attempts = open_at, passing, explained, attempts

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer* or its beginning, and return the number of bytes: at most 1 MiB, which is what a lost connection
        costs.
        """
        data = self._next(min(len(buffer), _PIECE))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return the rest. The base class would read 8 KiB at a time."""
        return b"".join(iter(lambda: self._next(_PIECE), b""))

    def close(self) -> None:
        """Release the connection."""
        self._drop()
        super().close()

    def _next(self, most: int) -> bytes:
        amount = min(most, self._size - self._at)
        if not amount:
            return b""
        with self._explained():
            data = persistently(lambda: self._read(amount), self._passing, self._attempts)
        self._at += len(data)
        return data

    def _read(self, amount: int) -> bytes:
        self._body = self._body or self._open_at(self._at)
        try:
            data = self._body.read(amount)
            if not data:
                raise ConnectionResetError("it was closed in the middle")
        except Exception:
            self._drop()
            raise
        return data

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
        self._body = None
