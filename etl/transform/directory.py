"""Reading the directory of a zip record by record.

`zipfile` reads all of it into memory first and keeps an object for each member: 16 s and 1.4 GB for the two million members of InstaCities1M.
Here a megabyte of it is in memory at a time. Sections are those of APPNOTE.TXT 6.3.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from snap2caption.errors import UserError

MAX_MEMBERS = 20_000_000
"""Ten times what InstaCities1M has. An archive of more is refused: its directory alone would be gigabytes."""

_END = struct.Struct("<4s4H2LH")  # 4.3.16
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_RECORD = struct.Struct("<4s4x2H4x3L3H4x2L")  # 4.3.12, without versions, date, disk and internal attributes
_LOCAL_HEADER = 30  # 4.3.7, without the name and the extra field
_MAX_COMMENT = 0xFFFF
_IN_EXTRA, _ZIP64, _EXTRA_FIELD = 0xFFFFFFFF, 0x0001, struct.Struct("<HH")  # 4.5.3
_ENCRYPTED, _UTF8 = 1 << 0, 1 << 11  # 4.4.4
_CHUNK = 1 << 20


class Entry(NamedTuple):
    """What the directory says of one member. None of it has been checked against the member."""

    name: str | None
    """None: its bytes are not text in the encoding that they are said to be in."""
    mode: int
    """Unix's type and permissions; 0 from a system without."""
    encrypted: bool
    method: int
    crc: int
    compressed: int
    size: int
    offset: int
    """Of its local header."""
    end: int
    """Of its data, if its local header has no extra field: the data ends here or later."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the directory lies, and how many records it has."""

    start: int
    size: int
    members: int


class Directory:
    """The directory of the archive at *path*, which *stream* reads.

    Raises:
        UserError: no zip, or cut off, or of more members than `MAX_MEMBERS`.
    """

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._length = stream.seek(0, os.SEEK_END)
        self._place = self._find()
        if self._place.members > MAX_MEMBERS:
            raise UserError(
                f"{path} has {self._place.members} members, more than the {MAX_MEMBERS} that a corpus may have; "
                "check that it is the corpus."
            )

    @property
    def start(self) -> int:
        """The offset at which the directory starts: members end before it."""
        return self._place.start

    def entries(self) -> Iterator[Entry]:
        """Yield the entries in the directory's order.

        Raises:
            UserError: it does not have the records that it should have.
        """
        found, data, at = 0, b"", 0
        left = self._place.size
        self._stream.seek(self._place.start)
        while left or at < len(data):
            if left and len(data) - at < _CHUNK // 2:  # half a megabyte holds the longest record
                chunk = self._stream.read(min(left, _CHUNK))
                if not chunk:
                    raise self._broken()
                left -= len(chunk)
                data, at = data[at:] + chunk, 0
            entry, at = self._entry(data, at)
            found += 1
            yield entry
        if found != self._place.members:
            raise self._broken()

    def _entry(self, data: bytes, at: int) -> tuple[Entry, int]:
        """Return the entry at *at* in *data*, and where the next one is."""
        if len(data) - at < _RECORD.size:
            raise self._broken()
        (
            signature, flags, method, crc, compressed, size,
            name_length, extra_length, comment_length, attributes, offset,
        ) = _RECORD.unpack_from(data, at)  # fmt: skip
        name_end = at + _RECORD.size + name_length
        extra_end = name_end + extra_length
        end = extra_end + comment_length
        if signature != b"PK\x01\x02" or end > len(data):
            raise self._broken()
        if _IN_EXTRA in (compressed, size, offset):
            size, compressed, offset = _from_extra(data[name_end:extra_end], size, compressed, offset)
        name = _decode(data[name_end - name_length : name_end], flags)
        data_end = offset + _LOCAL_HEADER + name_length + compressed
        # By position: naming the fields would take half as long again as reading them.
        entry = Entry(name, attributes >> 16, bool(flags & _ENCRYPTED), method, crc, compressed, size, offset, data_end)
        return entry, end

    def _find(self) -> _Place:
        """Find the end record, the last thing in the file but for a comment, and with it the directory, just before it."""
        tail_start = max(0, self._length - _END.size - _MAX_COMMENT)
        tail = self._read(tail_start, self._length - tail_start)
        at = len(tail)
        while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
            if len(tail) - at < _END.size:
                continue
            _, _, _, _, members, size, start, comment_length = _END.unpack_from(tail, at)
            if at + _END.size + comment_length == len(tail):
                break
        else:
            raise UserError(f"{self._path} is not a zip, or cut off; fetch it again with `snap2caption extract`.")
        end = tail_start + at
        if (place_64 := self._find_64(end - _LOCATOR.size)) is not None:
            start, size, members, end = place_64
        if start + size != end:
            raise self._broken()
        return _Place(start, size, members)

    def _find_64(self, at: int) -> tuple[int, int, int, int] | None:
        """Return the directory's start, size, number of members, and end, as an archive over 4 GB has them; None from a smaller one."""
        locator = self._read(at, _LOCATOR.size)
        if len(locator) < _LOCATOR.size or not locator.startswith(b"PK\x06\x07"):
            return None
        end = _LOCATOR.unpack(locator)[2]
        record = self._read(end, _END_64.size)
        if len(record) < _END_64.size or not record.startswith(b"PK\x06\x06"):
            raise self._broken()
        *_, members, size, start = _END_64.unpack(record)
        return start, size, members, end

    def _read(self, at: int, size: int) -> bytes:
        if not 0 <= at < self._length:
            return b""
        self._stream.seek(at)
        return self._stream.read(size)

    def _broken(self) -> UserError:
        return UserError(
            f"The directory of {self._path} is damaged, so nothing in it can be relied on; "
            "fetch it again with `snap2caption extract`."
        )


def _from_extra(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Return the three numbers, those that are too large for 32 bits from the extra field. What it lacks stays as it is."""
    at = 0
    while at + _EXTRA_FIELD.size <= len(extra):
        tag, length = _EXTRA_FIELD.unpack_from(extra, at)
        at += _EXTRA_FIELD.size
        if tag == _ZIP64:
            field = extra[at : at + length]
            values = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            size, compressed, offset = (
                next(values, number) if number == _IN_EXTRA else number for number in (size, compressed, offset)
            )
            break
        at += length
    return size, compressed, offset


def _decode(name: bytes, flags: int) -> str | None:
    if name.isascii():
        return name.decode("ascii")  # in both encodings the same, and five times as fast
    try:
        return name.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError:
        return None
