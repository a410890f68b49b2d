"""Metadata removal: EXIF with its location, XMP, IPTC, comments, thumbnails, and data after the picture.

The picture is not decoded, and its compressed bytes stay untouched. Only what a decoder needs is kept:
everything else is dropped, whether it is known here or not.
"""

import io
import warnings
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from PIL import ExifTags, Image

from snap2caption.formats.file_signatures import format_of
from snap2caption.images import FORMATS
from snap2caption.images.parts import BARE, END, MARKER, SCAN


class MetadataKind(IntEnum):
    """Kind of metadata in a photo's file."""

    NONE = 0
    SOME = 1
    LOCATION = 2
    """The metadata include where the photo was taken."""


class StrippedPhoto(NamedTuple):
    """A photo without metadata, and the kind of metadata that it had."""

    photo: bytes
    metadata: MetadataKind


_ORIENTATION = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0%c\0\0\0\0\0\0"
"""EXIF's TIFF structure with a single entry, the orientation (EXIF 3.0, 4.6.5)."""

_SIGNS = (b"Exif\0\0", b"EXIF", b"eXIf", b"Raw profile type", b"adobe", b"XMP ")
"""Every file whose metadata can hold an orientation or a location contains one of these."""

_JFIF, _ADOBE, _ICC = b"JFIF\0", b"Adobe", b"ICC_PROFILE\0"

_PNG_KEPT = frozenset(b"IHDR PLTE tRNS IDAT acTL fcTL fdAT cICP iCCP sRGB gAMA cHRM mDCV cLLI sBIT bKGD pHYs".split())
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"

_WEBP_PICTURE = frozenset([b"VP8 ", b"VP8L", b"ALPH"])
_WEBP_KEPT = _WEBP_PICTURE | {b"VP8X", b"ICCP", b"ANIM", b"ANMF"}
_WEBP_HAS_EXIF, _WEBP_HAS_XMP = 0x08, 0x04
_WEBP_FRAME = 24
"""Bytes of a frame's chunk before its nested chunks."""

_GIF_KEPT = (b"\x21\xf9", b"\x21\xff\x0bNETSCAPE2.0", b"\x21\xff\x0bANIMEXTS1.0", b"\x21\xff\x0bICCRGBG1012")
"""Extensions for delays, loops and the color profile."""

_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError)


def drop_metadata(photo: bytes) -> StrippedPhoto:
    """Return a JPEG, PNG, WebP or GIF without its metadata. Bytes in any other format are returned unchanged.

    The picture, its color profile and its orientation are kept. The orientation is written as EXIF with nothing
    else in it; it is the one that Pillow applies, with which training and serving decode. The operation is
    idempotent.
    """
    drop = {"JPEG": _jpeg, "PNG": _png, "WebP": _webp, "GIF": _gif}.get(format_of(photo) or "")
    if drop is None:
        return StrippedPhoto(photo, MetadataKind.NONE)
    bare = drop(photo, b"")
    if bare == photo:
        return StrippedPhoto(photo, MetadataKind.NONE)
    orientation, had = _read(photo) if any(sign in photo for sign in _SIGNS) else (1, MetadataKind.SOME)
    if 1 < orientation <= 8:
        bare = drop(photo, _ORIENTATION % orientation)
    return StrippedPhoto(bare, had if bare != photo else MetadataKind.NONE)


def _read(photo: bytes) -> tuple[int, MetadataKind]:
    """Return the orientation that Pillow applies, and whether the metadata include a location."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(photo), formats=FORMATS) as opened:
            exif = opened.getexif()
            place = ExifTags.Base.GPSInfo in exif or b"GPSLatitude" in photo
            return int(exif.get(ExifTags.Base.Orientation, 1)), MetadataKind.LOCATION if place else MetadataKind.SOME
    except _DAMAGE:
        return 1, MetadataKind.SOME  # no reader can parse it


def _jpeg(photo: bytes, orientation: bytes) -> bytes:
    kept = list(_segments(photo))
    if orientation:
        exif = b"Exif\0\0" + orientation
        # JFIF must be the first segment, and EXIF the first after it.
        at = 2 if kept[1:] and kept[1].startswith(b"\xff\xe0") else 1
        kept.insert(at, b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif)
    return b"".join(kept)


def _segments(photo: bytes) -> Iterator[bytes]:
    """Yield the segments of a JPEG that make its picture (ITU-T T.81, annex B), as libjpeg finds them.

    libjpeg ignores bytes between segments.
    """
    yield photo[:2]
    at = 2
    while found := MARKER.search(photo, at):
        start = found.start()
        marker = photo[start + 1]
        at = start + 2 if marker in BARE else start + 2 + int.from_bytes(photo[start + 2 : start + 4])
        if marker == SCAN:
            after = MARKER.search(photo, at)
            at = after.start() if after else len(photo)
        yield _segment(marker, photo[start:at])
        if marker == END:
            # After the end marker come a phone's secondary pictures (MPF) and videos.
            return


def _segment(marker: int, segment: bytes) -> bytes:
    """Return the part of a segment that decoding needs."""
    content = segment[4:]
    if marker == 0xE0 and content.startswith(_JFIF) and len(content) >= 14:
        return b"\xff\xe0\0\x10" + content[:12] + b"\0\0"  # a thumbnail of no pixels
    if marker == 0xEE and content.startswith(_ADOBE) and len(content) >= 12:
        return b"\xff\xee\0\x0e" + content[:12]  # how its colors are stored
    if marker == 0xE2 and content.startswith(_ICC):
        return segment
    return b"" if 0xE0 <= marker <= 0xEF or marker == 0xFE else segment


def _png(photo: bytes, orientation: bytes) -> bytes:
    """Keep the chunks that make the picture (PNG, third edition, 11)."""
    kept, at = [photo[:8]], 8
    while at < len(photo):
        kind, start = photo[at + 4 : at + 8], at
        at += 12 + int.from_bytes(photo[at : at + 4])
        if kind == b"IEND":
            kept.append(_PNG_END)
            break
        if kind in _PNG_KEPT:
            kept.append(photo[start:at])
    if orientation:
        kept.insert(2, _png_chunk(b"eXIf", orientation))
    return b"".join(kept)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    import zlib

    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def _webp(photo: bytes, orientation: bytes) -> bytes:
    """Keep the chunks that make the picture (RFC 9649)."""
    end = 8 + int.from_bytes(photo[4:8], "little")
    kept = [_webp_kept(kind, chunk, orientation) for kind, chunk in _webp_chunks(photo[12:end]) if kind in _WEBP_KEPT]
    if orientation:
        kept.append(b"EXIF" + len(orientation).to_bytes(4, "little") + orientation)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        after = at + 8 + size + size % 2
        yield data[at : at + 4], data[at:after]
        at = after


def _webp_kept(kind: bytes, chunk: bytes, orientation: bytes) -> bytes:
    if kind == b"VP8X" and len(chunk) > 8:
        flags = chunk[8] & ~(_WEBP_HAS_EXIF | _WEBP_HAS_XMP) | (_WEBP_HAS_EXIF if orientation else 0)
        return chunk[:8] + bytes([flags]) + chunk[9:]
    if kind != b"ANMF":
        return chunk
    parts = [part for kind, part in _webp_chunks(chunk[_WEBP_FRAME:]) if kind in _WEBP_PICTURE]
    content = chunk[8:_WEBP_FRAME] + b"".join(parts)
    return b"ANMF" + len(content).to_bytes(4, "little") + content


def _gif(photo: bytes, orientation: bytes) -> bytes:  # noqa: ARG001 - GIF has an orientation only in XMP
    """Keep the blocks that make the picture (GIF89a)."""
    at = 13 + _gif_colors(photo[10:11])
    kept = [photo[:at]]
    while at < len(photo):
        start, kind = at, photo[at : at + 1]
        if kind == b";":
            kept.append(kind)
            break
        if kind == b"!":
            at = _gif_blocks_end(photo, at + 2)
            if photo.startswith(_GIF_KEPT, start):
                kept.append(photo[start:at])
        elif kind == b",":
            at = _gif_blocks_end(photo, at + 11 + _gif_colors(photo[at + 9 : at + 10]))
            kept.append(photo[start:at])
        else:
            at += 1
    return b"".join(kept)


def _gif_colors(flags: bytes) -> int:
    """Return the size in bytes of the color table that *flags* describe."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _gif_blocks_end(photo: bytes, at: int) -> int:
    while at < len(photo) and photo[at]:
        at += 1 + photo[at]
    return at + 1
