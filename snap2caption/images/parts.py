"""Limit on the number of parts in a photo's file.

Decoders read part by part, so a file of nothing but parts takes minutes or days.
"""

import re

MAX_PARTS = 1 << 16
"""The most segments or chunks of a file. Real files have thousands at most: metadata in pieces of 64 KB, pixels in
pieces of 8 KB.
"""

MAX_SCANS = 50
"""The most scans of a JPEG.

Progressive files have about ten. The time of each scan depends on the size of the picture, however few bytes it
has.
"""

_JPEG, _PNG, _GIF = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")

SCAN, END = 0xDA, 0xD9
_FRAMES = frozenset({0xC0, 0xC1, 0xC9})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
BARE = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers without a segment after them."""

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""Finds the end of a scan's pixels."""


def has_too_many_parts(data: bytes) -> bool:
    """Whether *data* is a JPEG, PNG or GIF file of more parts than an honest one has.

    C code reads all of a WebP's in one pass.
    """
    if data.startswith(_JPEG):
        return _is_jpeg_of_parts(data)
    if data.startswith(_GIF):
        return _is_gif_of_parts(data)
    return data.startswith(_PNG) and _is_png_of_parts(data)


def has_separate_scans(data: bytes) -> bool:
    """Whether *data* is a JPEG whose pixels come in several scans: progressive, or one component after the other.

    libjpeg then holds all pixels in memory.
    """
    if not data.startswith(_JPEG):
        return False
    at, components = 2, 0
    while at + 9 < len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker in {0x00, 0xFF}:
            at += 1
            continue
        if marker == SCAN:
            return data[at + 4] < components
        if marker in _PROGRESSIVE:
            return True
        if marker in _FRAMES:
            components = data[at + 9]
        at += 2 if marker in BARE else 2 + int.from_bytes(data[at + 2 : at + 4])
    return False


def _is_gif_of_parts(data: bytes) -> bool:
    """Count the parts up to the first picture. The rest is not decoded."""
    flags = data[10] if len(data) > 10 else 0
    at, blocks = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while at < len(data) and data[at : at + 1] not in {b",", b";"}:
        if data[at : at + 1] == b"!":
            at += 2
            while at < len(data) and data[at] and blocks <= MAX_PARTS:
                at += 1 + data[at]
                blocks += 1
        at += 1
        blocks += 1
        if blocks > MAX_PARTS:
            return True
    return False


def _is_png_of_parts(data: bytes) -> bool:
    at, chunks = len(_PNG), 0
    while at < len(data) and chunks <= MAX_PARTS:
        at += 12 + int.from_bytes(data[at : at + 4])
        chunks += 1
    return chunks > MAX_PARTS


def _is_jpeg_of_parts(data: bytes) -> bool:
    at, parts, scans = 2, 0, 0
    while at + 1 < len(data):
        if parts > MAX_PARTS or scans > MAX_SCANS:
            return True
        parts += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker in {0x00, 0xFF}:
            # Stray bytes and padding are taken one by one as well.
            at += 1
            continue
        if marker == END and scans:
            return False
        at += 2 if marker in BARE else 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker != SCAN:
            continue
        scans += 1
        if scans == 1 and data.count(b"\xff\xda", at) < MAX_SCANS:
            # Nearly all files: there can't be too many.
            return False
        pixels_end = MARKER.search(data, at)
        if pixels_end is None:
            return False
        at = pixels_end.start()
    return False
