"""Reading a member of a zip by its place in the file, without the archive's directory: any process can read any member."""

import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import BinaryIO

# APPNOTE.TXT 4.3.7: signature, 22 bytes that the directory has too, and how long the name and the extra field after it are.
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_USUAL_HEADER = 512


class DamagedError(Exception):
    """The member can't be read: cut off, changed, or compressed in a way that corpora are not."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member's bytes lie in the archive, and what they must be."""

    offset: int
    """Of its local header."""
    compressed: int
    size: int
    method: int
    crc: int

    def read(self, archive: BinaryIO) -> bytes:
        """Return the member's bytes, never more than the archive's directory says.

        Raises:
            DamagedError: they are not what the directory says.
        """
        # In one system call: the archive's directory does not tell how long the header is, but it is rarely longer than that.
        block = os.pread(archive.fileno(), _USUAL_HEADER + self.compressed, self.offset)
        if len(block) < _LOCAL_HEADER.size or not block.startswith(b"PK\x03\x04"):
            raise DamagedError("no member here")
        _, name, extra = _LOCAL_HEADER.unpack_from(block)
        start = _LOCAL_HEADER.size + name + extra
        stored = block[start : start + self.compressed]
        if start > _USUAL_HEADER:
            stored = os.pread(archive.fileno(), self.compressed, self.offset + start)
        data = self._inflate(stored)
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise DamagedError("other bytes than were stored")
        return data

    def _inflate(self, data: bytes) -> bytes:
        if self.method == zipfile.ZIP_STORED:
            return data
        if self.method != zipfile.ZIP_DEFLATED:
            raise DamagedError("an unusual compression")
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, self.size + 1)
        except zlib.error as error:
            raise DamagedError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Pair:
    """A photo with its caption, as members of the archive."""

    id: str
    city: str
    image: Member
    caption: Member
