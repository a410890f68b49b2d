"""Central directory of a zip, read record by record.

`zipfile` reads the whole directory into memory first and keeps an object for each member: 16 s and 1.4 GB for
the two million members of InstaCities1M. This reader holds one megabyte of it at a time. Section numbers refer
to APPNOTE.TXT 6.3.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from etl.place import Place
from snap2caption.errors import UserError

MAX_MEMBERS = 20_000_000
"""Ten times as many as InstaCities1M has. Larger archives are refused: their directory alone would be gigabytes."""

_END = struct.Struct("<4s4H2LH")  # 4.3.16
_LOCATOR = struct.Struct("<4sLQL")  # 4.3.15
_END_64 = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_RECORD = struct.Struct("<4s4x2H4x3L3H4x2L")  # 4.3.12, without versions, date, disk and internal attributes
_LOCAL_HEADER = 30  # 4.3.7, without the name and the extra field
_TAIL = 1 << 20
"""Bytes at the end of a file that are searched for the end record.

They cover a comment of at most 64 KiB, and what transfers and disks append to an archive.
"""
_WRAP_16, _WRAP_32 = 1 << 16, 1 << 32
_IN_EXTRA, _ZIP64, _EXTRA_FIELD = 0xFFFFFFFF, 0x0001, struct.Struct("<HH")  # 4.5.3
_ENCRYPTED, _UTF8 = 1 << 0, 1 << 11  # 4.4.4
_CHUNK = 1 << 20


class DirectoryEntry(NamedTuple):
    """Record of one member in the directory. None of it has been checked against the member."""

    name: str | None
    """None: the bytes are not text in the declared encoding."""
    mode: int
    """Unix file type and permissions; 0 from other systems."""
    encrypted: bool
    method: int
    crc: int
    compressed: int
    size: int
    offset: int
    """Offset of the local header."""
    end: int
    """End of the data if the local header has no extra field: the data ends here or later."""


@dataclass(frozen=True, slots=True)
class _DirectoryLocation:
    """Location of the directory, and its number of records."""

    start: int
    size: int
    members: int
    shift: int = 0
    """Bytes to add to all offsets: for data before the archive (a self-extractor), or for what does not fit
    into 32 bits.
    """
    wraps: bool = False
    """Whether numbers too large for their fields were truncated, as macOS does instead of writing ZIP64 records."""


class CentralDirectory:
    """Directory of the archive at *path*, which *stream* reads; it must be seekable.

    Raises:
        UserError: the file is not a zip, is cut off, or has more members than `MAX_MEMBERS`.
    """

    def __init__(self, path: Place, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self._length = stream.seek(0, os.SEEK_END)
        self._place = self._find()
        if self._place.members > MAX_MEMBERS:
            raise self._too_many(self._place.members)

    @property
    def start(self) -> int:
        """Offset of the directory. All members end before it."""
        return self._place.start

    def entries(self) -> Iterator[DirectoryEntry]:
        """Yield the entries in the directory's order.

        Raises:
            UserError: the directory does not hold the records that it should.
        """
        found, data, at, shift, last = 0, b"", 0, self._place.shift, 0
        left = self._place.size
        self._stream.seek(self._place.start)
        while left or at < len(data):
            if left and len(data) - at < _CHUNK // 2:  # the longest record fits into half a megabyte
                chunk = self._stream.read(min(left, _CHUNK))
                if not chunk:
                    raise self._broken()
                left -= len(chunk)
                data, at = data[at:] + chunk, 0
            entry, at = self._entry(data, at)
            found += 1
            if found > MAX_MEMBERS:
                raise self._too_many(found)
            if self._place.wraps and self._length > _WRAP_32:
                # Such archives list their members in file order.
                shift += _WRAP_32 if entry.offset < last else 0
                last = entry.offset
            yield entry._replace(offset=entry.offset + shift, end=entry.end + shift) if shift else entry
        if found != self._place.members and not (self._place.wraps and (found - self._place.members) % _WRAP_16 == 0):
            raise self._broken()

    def _entry(self, data: bytes, at: int) -> tuple[DirectoryEntry, int]:
        """Return the entry at offset *at* in *data*, and the offset of the next one."""
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
        # Positional: keyword arguments would take half as long again as reading the fields.
        entry = DirectoryEntry(
            name, attributes >> 16, bool(flags & _ENCRYPTED), method, crc, compressed, size, offset, data_end
        )
        return entry, end

    def _find(self) -> _DirectoryLocation:
        """Find the end record and the directory just before it.

        The end record is the last thing in the file, except for a comment or data appended to the archive.
        """
        tail_start = max(0, self._length - _TAIL)
        tail = self._read(tail_start, self._length - tail_start)
        at, has_end_record = len(tail), False
        while (at := tail.rfind(b"PK\x05\x06", 0, at)) >= 0:
            if len(tail) - at < _END.size:
                continue
            has_end_record = True
            _, _, _, _, members, size, start, comment_length = _END.unpack_from(tail, at)
            if at + _END.size + comment_length <= len(tail):
                place = self._place_before(tail_start + at, members, size, start)
                if place is not None:
                    return place
        if has_end_record:
            raise self._broken()
        raise UserError(f"{self._path} is not a zip, or is cut off; fetch it again with `snap2caption extract`.")

    def _place_before(self, end: int, members: int, size: int, start: int) -> _DirectoryLocation | None:
        """Return the location of the directory that the end record at *end* points to; None if no directory is
        there.
        """
        place_64 = self._find_64(end - _LOCATOR.size)
        if place_64 is not None:
            start, size, members, end = place_64
        found = end - size
        shift = found - start
        if shift < 0 or (self._read(found, 4) != b"PK\x01\x02" if size else shift):
            return None
        wraps = place_64 is None and shift % _WRAP_32 == 0
        return _DirectoryLocation(found, size, members, 0 if wraps else shift, wraps)

    def _find_64(self, at: int) -> tuple[int, int, int, int] | None:
        """Return the directory's start, size, member count and end from ZIP64 records; None in a smaller archive."""
        locator = self._read(at, _LOCATOR.size)
        if len(locator) < _LOCATOR.size or not locator.startswith(b"PK\x06\x07"):
            return None
        # The record is where the locator says, or just before the locator if data precedes the archive.
        for end in (_LOCATOR.unpack(locator)[2], at - _END_64.size):
            record = self._read(end, _END_64.size)
            if len(record) == _END_64.size and record.startswith(b"PK\x06\x06"):
                *_, members, size, start = _END_64.unpack(record)
                return start, size, members, end
        raise self._broken()

    def _read(self, at: int, size: int) -> bytes:
        if not 0 <= at < self._length:
            return b""
        self._stream.seek(at)
        return self._stream.read(size)

    def _too_many(self, members: int) -> UserError:
        return UserError(
            f"{self._path} has {members} members, more than the {MAX_MEMBERS} that a corpus may have; "
            "check that it is the corpus."
        )

    def _broken(self) -> UserError:
        return UserError(
            f"The directory of {self._path} is damaged, so none of it can be trusted; "
            "fetch it again with `snap2caption extract`."
        )


def _from_extra(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Return size, compressed size and offset, with values too large for 32 bits taken from the ZIP64 extra field.

    A value that the field lacks stays as it is.
    """
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
        return name.decode("ascii")  # the same in both encodings, and five times as fast
    try:
        return name.decode("utf-8")  # many programs write UTF-8 without setting the flag
    except UnicodeDecodeError:
        return None if flags & _UTF8 else name.decode("cp437")
