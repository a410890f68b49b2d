"""Rows of bytes on disk, written in any order and read in parts that fit into memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

_BLOCK = 1 << 16
"""Rows that are read at a time."""

Rows = npt.NDArray[np.uint8]


class SpooledRows:
    """Rows of *width* bytes in the file *path*, which is replaced, and removed in the end.

    The number of rows is that of the last one written.
    """

    def __init__(self, path: Path, width: int) -> None:
        self.width = width
        self._path = path
        self._stream = path.open("w+b", buffering=0)
        self._count = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the file."""
        self._stream.close()
        self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._count

    def __iter__(self) -> Iterator[Rows]:
        """Yield the rows in blocks, as `blocks` does."""
        for _, rows in self.blocks():
            yield rows

    def append(self, rows: Rows) -> None:
        """Write *rows* (n, width) after the last one."""
        self.write(self._count, rows)

    def write(self, start: int, rows: Rows) -> None:
        """Write *rows* (n, width) from row *start* on."""
        if not len(rows):
            return
        self._stream.seek(start * self.width)
        data = np.ascontiguousarray(rows).data.cast("B")
        while data:
            data = data[self._stream.write(data) :]
        self._count = max(self._count, start + len(rows))

    def blocks(self) -> Iterator[tuple[int, Rows]]:
        """Yield the number of the first row of each block, and the block, (n, width), which the next one replaces."""
        buffer = np.empty((min(_BLOCK, self._count), self.width), dtype=np.uint8)
        for start in range(0, self._count, _BLOCK):
            rows = buffer[: self._count - start]
            self._stream.seek(start * self.width)
            data = rows.data.cast("B")
            while data:
                data = data[self._stream.readinto(data) :]
            yield start, rows

    def select(self, chosen: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], Rows]:
        """Return the numbers of the rows that are *chosen* (n,), and these rows, in order."""
        numbers = np.flatnonzero(chosen).astype(np.int32)
        found = np.empty((len(numbers), self.width), dtype=np.uint8)
        at = 0
        for start, rows in self.blocks():
            here = rows[chosen[start : start + len(rows)]]
            found[at : at + len(here)] = here
            at += len(here)
        return numbers, found

    def select_in_turn(
        self, choose: Callable[[Rows], npt.NDArray[np.bool_]], most: int
    ) -> Iterator[tuple[npt.NDArray[np.int32], Rows]]:
        """Yield the numbers of the rows that *choose* returns True for, and these rows, at most *most* at a time,
        which the next ones replace.
        """
        numbers = np.empty(min(most, self._count), dtype=np.int32)
        found = np.empty((len(numbers), self.width), dtype=np.uint8)
        size = 0
        for start, rows in self.blocks():
            chosen = np.flatnonzero(choose(rows))
            while len(chosen):
                here = chosen[: len(numbers) - size]
                numbers[size : size + len(here)] = here + start
                found[size : size + len(here)] = rows[here]
                size += len(here)
                chosen = chosen[len(here) :]
                if size == len(numbers):
                    yield numbers, found
                    size = 0
        if size:
            yield numbers[:size], found[:size]
