"""Fact index: facts that were derived from objects in the store, kept beside them, so that only new objects are read.

The facts lie in segments: immutable objects of sorted JSON lines, named after their content. A line holds a key,
the entity tag of what the facts were derived from, and the facts. It counts only if the store's listing still has
that key with that tag. So an index can't be wrong, whichever runs wrote to it, in whatever order, and wherever they
were killed; and it can be deleted at any time. Small segments are merged, as in a log-structured merge tree: a line
is written again a logarithmic number of times.
"""

import hashlib
import heapq
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Set
from contextlib import closing
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from etl.feedback.records import id_of, parse
from snap2caption.formats.documents import StrictDocument
from snap2caption.names import Digest
from snap2caption.store import MissingError, ObjectStore
from snap2caption.store.documents import put_document, read_object

INDEX = "index/"
CHUNK = 10_000
"""Objects whose facts are derived and written at a time: a kill costs at most this many."""

Fact = TypeVar("Fact")


class Source(NamedTuple):
    """What facts are derived from: its key, and a tag that changes with its content."""

    key: str
    tag: str


class Row(NamedTuple, Generic[Fact]):
    """The facts about one source; None: its content is invalid."""

    key: str
    tag: str
    fact: Fact | None


class SearchedSegments(StrictDocument):
    """The segments that hold no row of erased feedback, and a digest of the ids that they were searched for."""

    gone: Digest
    segments: tuple[str, ...]


Derive = Callable[[Sequence[Source]], Iterator[Row[Fact] | None]]
"""Reads sources and returns a row for each, in order; None for one that is gone."""


class FactIndex(Generic[Fact]):
    """The facts called *name* in a store, which are of the type *kind*."""

    def __init__(self, store: ObjectStore, name: str, kind: type[Fact]) -> None:
        self._store = store
        self._prefix = f"{INDEX}{name}/"
        self._mark = f"{INDEX}{name}-searched.json"
        self._row: TypeAdapter[tuple[str, str, Fact | None]] = TypeAdapter(tuple[str, str, kind | None])  # type: ignore[valid-type]

    def facts(self, sources: Iterable[Source], derive: Derive[Fact]) -> Iterator[tuple[str, Fact | None]]:
        """Yield the facts about each source by its key, in no order. Those that are not known yet are derived.

        Rows of other sources, such as erased ones, are removed.

        Args:
            sources: all that there are, sorted by key.
            derive: reads the sources whose facts are unknown, at most `CHUNK` at a time.

        Raises:
            StoreError: the store is unavailable or refuses.
        """
        sizes = {found.key: found.size for found in self._store.list(self._prefix)}
        dead: dict[str, set[Source]] = {segment: set() for segment in sizes}
        missing: list[Source] = []
        with closing(self._rows(sizes, dead)) as rows:
            ahead = next(rows, None)
            for source in sources:
                known = None
                while ahead is not None and ahead[0].key <= source.key:
                    row, segment = ahead
                    if known is None and (row.key, row.tag) == source:
                        known = row
                    else:
                        dead[segment].add(Source(row.key, row.tag))
                    ahead = next(rows, None)
                if known is not None:
                    yield known.key, known.fact
                else:
                    missing.append(source)
                if len(missing) == CHUNK:
                    yield from self._derive(missing, derive, sizes)
                    missing.clear()
            while ahead is not None:
                dead[ahead[1]].add(Source(ahead[0].key, ahead[0].tag))
                ahead = next(rows, None)
        if missing:
            yield from self._derive(missing, derive, sizes)
        self._compact(sizes, dead)

    def forget(self, gone: Set[str]) -> None:
        """Remove the rows of feedback whose ids are in *gone*.

        A mark says which segments were searched for the same ids, so that each is read once.

        Raises:
            StoreError: the store is unavailable or refuses.
        """
        wanted = hashlib.sha256("\n".join(sorted(gone)).encode()).hexdigest()
        mark = self._read_mark()
        searched = set(mark.segments) if mark is not None and mark.gone == wanted else set()
        clean = set()
        for segment in [found.key for found in self._store.list(self._prefix)]:
            if segment in searched:
                clean.add(segment)
                continue
            dead: dict[str, set[Source]] = {}
            lost = {Source(row.key, row.tag) for row, _ in self._rows([segment], dead) if id_of(row.key) in gone}
            if lost or dead:
                dead.setdefault(segment, set()).update(lost)
                clean.add(self._merge([segment], dead) or "")
            else:
                clean.add(segment)
        new = SearchedSegments(gone=wanted, segments=tuple(sorted(clean - {""})))
        if new != mark:
            put_document(self._store, self._mark, new)

    def _read_mark(self) -> "SearchedSegments | None":
        content = read_object(self._store, self._mark)
        return None if content is None else parse(content, SearchedSegments)

    def _rows(self, segments: Iterable[str], dead: dict[str, set[Source]]) -> Generator[tuple[Row[Fact], str]]:
        """Yield the rows of all *segments* by key, each with its segment."""
        yield from heapq.merge(*(self._read(segment, dead) for segment in segments), key=lambda found: found[0].key)

    def _read(self, segment: str, dead: dict[str, set[Source]]) -> Iterator[tuple[Row[Fact], str]]:
        try:
            with self._store.get(segment) as stream:
                for line in stream:
                    yield Row(*self._row.validate_json(line)), segment
        except MissingError:
            return  # another run merged it
        except ValidationError:
            # Another version wrote it, or it is damaged. Rewrite it with what could be read.
            dead.setdefault(segment, set()).add(Source("", ""))

    def _derive(
        self, missing: Sequence[Source], derive: Derive[Fact], sizes: dict[str, int]
    ) -> Iterator[tuple[str, Fact | None]]:
        rows = [row for row in derive(missing) if row is not None]
        written = self._write(rows)
        if written is not None:
            sizes.update([written])
        for row in rows:
            yield row.key, row.fact

    def _compact(self, sizes: dict[str, int], dead: dict[str, set[Source]]) -> None:
        """Merge segments with dead rows, and the smallest ones as long as each is at most twice those before it."""
        small: list[str] = []
        total = 0
        for segment, size in sorted(sizes.items(), key=lambda item: (item[1], item[0])):
            if small and size > 2 * total:
                break
            small.append(segment)
            total += size
        dirty = [segment for segment, rows in dead.items() if rows]
        chosen = {*dirty, *(small if len(small) > 1 else [])}
        if chosen:
            self._merge(sorted(chosen), dead)

    def _merge(self, segments: list[str], dead: dict[str, set[Source]]) -> str | None:
        """Replace *segments* by one without their dead rows, and return its key; None if it would have no rows.

        The new one is written before the others are deleted.
        """

        def living() -> Iterator[Row[Fact]]:
            last = None
            for row, segment in self._rows(segments, dead):
                source = Source(row.key, row.tag)
                if source != last and source not in dead.get(segment, ()):
                    last = source
                    yield row

        written = self._write(living())
        key = None if written is None else written[0]
        self._store.delete_all([segment for segment in segments if segment != key])
        return key

    def _write(self, rows: Iterable[Row[Fact]]) -> tuple[str, int] | None:
        """Write a segment, and return its key and size; None if there are no rows."""
        with tempfile.TemporaryDirectory() as folder:
            file, digest = Path(folder, "segment"), hashlib.sha256()
            with file.open("wb") as stream:
                for row in rows:
                    line = self._row.dump_json((row.key, row.tag, row.fact)) + b"\n"
                    digest.update(line)
                    stream.write(line)
            size = file.stat().st_size
            if size == 0:
                return None
            key = f"{self._prefix}{digest.hexdigest()}.jsonl"
            self._store.put(key, file, sha256=digest.hexdigest())
        return key, size
