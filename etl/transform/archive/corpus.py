"""Corpus archive in its place: a file on this machine, or an object in a store that is read by ranges."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from etl.place import Place, split_object
from etl.transform.atomic_files import Readable, digest_of, digest_of_stream
from snap2caption.errors import UserError
from snap2caption.store import MissingError, ObjectStore
from snap2caption.store.ranges import open_ranges

_AHEAD = 8
"""Requests under way per open archive."""

_WINDOW = 4 << 20
"""The most bytes that are read at once, unless one member has more."""


class CorpusArchive(Protocol):
    """An open archive, from which any range can be read."""

    def read(self, start: int, size: int) -> bytes:
        """Return *size* bytes from byte *start*, or what there is of them.

        Raises:
            OSError, StoreError: the archive can't be read.
        """
        ...

    def expect(self, ranges: Iterable[tuple[int, int]], apart: int | None = None) -> None:
        """Say which ranges will be read next, and in which order, each as its start and its size.

        An archive in a store requests them ahead. It reads those that lie at most *apart* bytes apart with one request,
        and keeps these bytes until the last of them is read.
        """
        ...


@contextmanager
def open_corpus(corpus: Place) -> Iterator[CorpusArchive]:
    """Open the archive for reads of any range.

    Raises:
        OSError: there is no such file.
        StoreError: there is no such object, or its store is unavailable.
    """
    if isinstance(corpus, Path):
        with corpus.open("rb") as stream:
            yield _FileArchive(stream.fileno())
        return
    with _explained(corpus):
        store, key = split_object(corpus)
        size = store.size(key)
    with ThreadPoolExecutor(_AHEAD) as pool:
        archive = _ObjectArchive(store, key, size, pool)
        try:
            yield archive
        finally:
            archive.expect(())


@contextmanager
def open_corpus_stream(corpus: Place) -> Iterator[BinaryIO]:
    """Open the archive as a seekable stream.

    Raises:
        UserError: there is no such file or object, or its store is unavailable.
    """
    if isinstance(corpus, Path):
        try:
            stream: BinaryIO = corpus.open("rb")
        except OSError as error:
            raise missing_corpus_error(corpus, error) from error
    else:
        with _explained(corpus):
            stream = open_ranges(*split_object(corpus))
    with stream:
        yield stream


def size_of_corpus(corpus: Place) -> int:
    """Return the archive's number of bytes.

    Raises:
        UserError: there is no such file or object, or its store is unavailable.
    """
    if isinstance(corpus, Path):
        try:
            return corpus.stat().st_size
        except OSError as error:
            raise missing_corpus_error(corpus, error) from error
    with _explained(corpus):
        store, key = split_object(corpus)
        return store.size(key)


def digest_of_corpus(corpus: Place) -> str:
    """Return the archive's SHA-256 in hex, read from start to end.

    Raises:
        UserError: there is no such file or object, or it can't be read.
    """
    if isinstance(corpus, Path):
        try:
            return digest_of(corpus)
        except OSError as error:
            raise missing_corpus_error(corpus, error) from error
    store, key = split_object(corpus)
    with _explained(corpus), store.get(key) as stream:
        return digest_of_stream(cast(Readable, stream))


def missing_corpus_error(corpus: Place, error: OSError) -> UserError:
    """Return the error for a corpus that can't be opened."""
    return UserError(f"There is no corpus at {corpus} ({error.strerror}); fetch it with `snap2caption extract`.")


@contextmanager
def _explained(corpus: Place) -> Iterator[None]:
    try:
        yield
    except MissingError as error:
        raise UserError(f"There is no corpus at {corpus}; fetch it with `snap2caption extract`.") from error


class _FileArchive:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, start: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, start)

    def expect(self, ranges: Iterable[tuple[int, int]], apart: int | None = None) -> None:
        """The system reads ahead by itself."""


@dataclass(slots=True, eq=False)
class _Window:
    """Bytes that are read by one request, for one or several expected ranges."""

    start: int
    stop: int
    readers: int = 0
    """Expected reads that are still to come."""
    found: Future[bytes] | None = None


class _ObjectArchive:
    """Memory holds at most `_AHEAD` windows, and those of which ranges are read later than of others."""

    def __init__(self, store: ObjectStore, key: str, size: int, pool: ThreadPoolExecutor) -> None:
        self._store, self._key, self._size, self._pool = store, key, size, pool
        self._window_of: dict[tuple[int, int], _Window] = {}
        self._next: Iterator[_Window] = iter(())
        self._held: set[_Window] = set()

    def read(self, start: int, size: int) -> bytes:
        window = self._window_of.get((start, size))
        if window is None:
            return self._request(start, min(start + size, self._size))
        self._fetch(window)
        found = window.found.result() if window.found else b""
        window.readers -= 1
        if not window.readers:
            window.found = None
            self._held.discard(window)
            self._read_ahead()
        return found[start - window.start : start - window.start + size]

    def expect(self, ranges: Iterable[tuple[int, int]], apart: int | None = None) -> None:
        for window in self._held:
            if window.found:
                window.found.cancel()
        self._held.clear()
        expected = list(ranges)
        self._window_of = self._plan(expected, apart)
        for one in expected:
            self._window_of[one].readers += 1
        self._next = iter(dict.fromkeys(self._window_of[one] for one in expected))
        self._read_ahead()

    def _plan(self, ranges: list[tuple[int, int]], apart: int | None) -> dict[tuple[int, int], _Window]:
        found: dict[tuple[int, int], _Window] = {}
        last: _Window | None = None
        for start, size in sorted(set(ranges)):
            stop = min(start + size, self._size)
            if last is None or apart is None or start > last.stop + apart or stop - last.start > _WINDOW:
                last = _Window(start, stop)
            last.stop = max(stop, last.stop)
            found[start, size] = last
        return found

    def _read_ahead(self) -> None:
        while len(self._held) < _AHEAD and (window := next(self._next, None)):
            if window.readers:
                self._fetch(window)

    def _fetch(self, window: _Window) -> None:
        if window.found is None:
            self._held.add(window)
            window.found = self._pool.submit(self._request, window.start, window.stop)

    def _request(self, start: int, stop: int) -> bytes:
        return self._store.read(self._key, start, stop - start) if start < stop else b""
