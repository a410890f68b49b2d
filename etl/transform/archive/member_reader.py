"""Reader for one zip member by its offset, without the central directory: any process can read any member."""

import bz2
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass

from etl.transform.archive.corpus import CorpusArchive

# APPNOTE.TXT 4.3.7: the signature, 22 bytes that the directory repeats, and the lengths of the name and the
# extra field that follow.
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_USUAL_HEADER = 512
_LZMA_HEADER, _LZMA_PROPERTIES = struct.Struct("<2sH"), 5

MAX_DICTIONARY = 64 * 1024 * 1024
"""Bytes of memory that an LZMA member may request; no accepted photo is larger."""

METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
"""Supported compression methods. Deflate64, Zstandard, PPMd and others are not supported."""


class DamagedError(Exception):
    """The member can't be read: it is cut off, altered, or compressed with a method that is not in `METHODS`."""


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """Location of a member in the archive, with its expected size and checksum."""

    offset: int
    """Offset of the local header."""
    compressed: int
    size: int
    method: int
    crc: int

    @property
    def block(self) -> tuple[int, int]:
        """The start and size of the range that `read` reads first, and nearly always only.

        The central directory does not give the header's length, but it is rarely longer than that.
        """
        return self.offset, _USUAL_HEADER + self.compressed

    def read(self, archive: CorpusArchive) -> bytes:
        """Return the member's bytes, never more than the central directory states.

        Raises:
            DamagedError: the bytes do not match the central directory.
        """
        block = archive.read(*self.block)
        if len(block) < _LOCAL_HEADER.size or not block.startswith(b"PK\x03\x04"):
            raise DamagedError("no member at this offset")
        _, name, extra = _LOCAL_HEADER.unpack_from(block)
        start = _LOCAL_HEADER.size + name + extra
        stored = block[start : start + self.compressed]
        if start > _USUAL_HEADER:
            stored = archive.read(self.offset + start, self.compressed)
        data = self._inflate(stored)
        if len(data) != self.size or zlib.crc32(data) != self.crc:
            raise DamagedError("the bytes do not match their checksum")
        return data

    def _inflate(self, data: bytes) -> bytes:
        limit = self.size + 1
        try:
            if self.method == zipfile.ZIP_STORED:
                return data
            if self.method == zipfile.ZIP_DEFLATED:
                return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
            if self.method == zipfile.ZIP_BZIP2:
                return bz2.BZ2Decompressor().decompress(data, limit)
            if self.method == zipfile.ZIP_LZMA:
                return _lzma_decompressor(data).decompress(data[_LZMA_HEADER.size + _LZMA_PROPERTIES :], limit)
        except (zlib.error, OSError, lzma.LZMAError, ValueError, struct.error) as error:
            raise DamagedError(str(error)) from error
        raise DamagedError("an unsupported compression method")


def _lzma_decompressor(data: bytes) -> lzma.LZMADecompressor:
    """Return a decompressor for the stream after an LZMA member's header (section 5.8.8).

    The header holds a version and the properties, which are spelled out here for liblzma.
    """
    _, length = _LZMA_HEADER.unpack_from(data)
    if length != _LZMA_PROPERTIES:
        raise ValueError("LZMA properties of another length")
    packed, dictionary = struct.unpack_from("<BL", data, _LZMA_HEADER.size)
    rest, literal_context = divmod(packed, 9)
    position, literal_position = divmod(rest, 5)
    chosen = {"id": lzma.FILTER_LZMA1, "lc": literal_context, "lp": literal_position, "pb": position}
    return lzma.LZMADecompressor(
        lzma.FORMAT_RAW, filters=[{**chosen, "dict_size": max(4096, min(dictionary, MAX_DICTIONARY))}]
    )


@dataclass(frozen=True, slots=True)
class ArchivePair:
    """A photo and its caption, as members of the archive."""

    id: str
    city: str
    image: ArchiveMember
    caption: ArchiveMember
