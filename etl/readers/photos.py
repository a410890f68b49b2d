"""Photo files of a source: which names are photos, and which contents the corpus can hold."""

from pathlib import PurePosixPath

from etl.readers.base import SkippedPost, SkipReason
from etl.readers.file_tree import FileTree, OversizedError
from etl.transform.archive.members import MAX_IMAGE_BYTES

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"})
"""Endings of files that the corpus can hold."""
OTHERS = frozenset({".heic", ".heif", ".avif", ".gif", ".bmp", ".tif", ".tiff"})
"""Endings of photos that it can't. They are counted."""
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
    """Return *photo*, or why the corpus can't hold it."""
    if len(photo) > MAX_IMAGE_BYTES:
        return SkippedPost(name, SkipReason.OVERSIZED)
    return photo if format_of(photo) else SkippedPost(name, SkipReason.UNSUPPORTED_IMAGE)
