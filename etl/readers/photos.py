"""Photo files of a source: which names are photos, and which contents the corpus can hold."""

import io
from pathlib import PurePosixPath

from etl.readers.base import SkippedPost, SkipReason
from etl.readers.file_tree import FileTree, OversizedError
from etl.transform.archive.members import MAX_IMAGE_BYTES
from snap2caption.formats import file_signatures
from snap2caption.images import ImageError, decode
from snap2caption.images.isolation import ISOLATED

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".avif"})
"""Endings of files that the corpus can hold, HEIC and AVIF as JPEG."""
OTHERS = frozenset({".gif", ".bmp", ".tif", ".tiff"})
"""Endings of photos that it can't. They are counted."""

_QUALITY = 95
"""JPEG quality at which a decoded photo is encoded again: the loss can't be seen."""
VIDEOS = frozenset({".mp4", ".mov", ".m4v", ".webm", ".3gp", ".avi"})


def suffix_of(name: str) -> str:
    """Return a name's ending in lower case, with its dot."""
    return PurePosixPath(name).suffix.lower()


def is_photo(name: str) -> bool:
    """Return whether the name is that of a photo, supported or not."""
    return suffix_of(name) in SUFFIXES | OTHERS


def format_of(photo: bytes) -> str | None:
    """Return the ending (``jpg``, ``png`` or ``webp``) that belongs to the content; None: another kind of file."""
    if photo.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if photo.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if photo[:4] == b"RIFF" and photo[8:12] == b"WEBP":
        return "webp"
    return None


def read_photo(tree: FileTree, name: str) -> bytes | SkippedPost:
    """Return the photo *name* of *tree*, or why the corpus can't hold it."""
    if suffix_of(name) in VIDEOS:
        return SkippedPost(name, SkipReason.VIDEO)
    try:
        photo = tree.read(name, MAX_IMAGE_BYTES)
    except FileNotFoundError:
        return SkippedPost(name, SkipReason.MISSING_IMAGE)
    except OversizedError:
        return SkippedPost(name, SkipReason.OVERSIZED)
    return check_photo(name, photo)


def check_photo(name: str, photo: bytes) -> bytes | SkippedPost:
    """Return *photo*, as JPEG if it is HEIC or AVIF, or why the corpus can't hold it."""
    if len(photo) > MAX_IMAGE_BYTES:
        return SkippedPost(name, SkipReason.OVERSIZED)
    if format_of(photo):
        return photo
    if file_signatures.format_of(photo) not in ISOLATED:
        return SkippedPost(name, SkipReason.UNSUPPORTED_IMAGE)
    try:
        return _as_jpeg(photo)
    except ImageError:
        return SkippedPost(name, SkipReason.UNREADABLE_IMAGE)


def _as_jpeg(photo: bytes) -> bytes:
    """Return a HEIC or AVIF photo as an upright JPEG without metadata; another process decodes it."""
    stream = io.BytesIO()
    decode(photo).save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue()
