"""Checking samples, in worker processes: read from the archive, clean, decode, hash."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from etl.transform.archive import Pair, open_archive
from etl.transform.caption import clean, fingerprint
from etl.transform.reasons import Reason

HASH_SIZE = 16
"""Bits a side of the perceptual hash: 256 in all."""

MIN_SIDE, MAX_SIDE, MAX_ASPECT = 64, 10_000, 5.0
"""Pixels, and how much longer one side may be than the other."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A usable sample: its cleaned text, and what it is compared by."""

    pair: Pair
    caption: str
    hashtags: tuple[str, ...]
    image_sha256: str
    image_hash: bytes
    """The perceptual hash, 32 bytes."""
    caption_key: str


_archives: dict[Path, zipfile.ZipFile] = {}


def check_chunk(corpus: Path, pairs: Sequence[Pair]) -> list[Checked | Reason]:
    """Check some pairs, in their order. Each worker process opens the archive once."""
    archive = _archives.get(corpus)
    if archive is None:
        archive = _archives[corpus] = open_archive(corpus)
    return [check(archive, pair) for pair in pairs]


def check(archive: zipfile.ZipFile, pair: Pair) -> Checked | Reason:
    """Check one pair: the sample, or why it can't be used."""
    try:
        text = archive.read(pair.caption).decode("utf-8")
    except (UnicodeDecodeError, zipfile.BadZipFile, zlib.error):
        return Reason.UNDECODABLE_CAPTION
    caption, tags = clean(text)
    if not caption:
        return Reason.EMPTY_CAPTION
    try:
        data = archive.read(pair.image)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return Reason.CORRUPT_IMAGE
    image_hash = hash_image(data)
    if isinstance(image_hash, Reason):
        return image_hash
    return Checked(pair, caption, tuple(tags), hashlib.sha256(data).hexdigest(), image_hash, fingerprint(caption))


def hash_image(data: bytes) -> bytes | Reason:
    """Decode a JPEG completely (a check of its header would miss a truncation) and return its perceptual hash, or what is wrong."""
    import imagehash

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if not (min(image.size) >= MIN_SIDE and max(image.size) <= min(MAX_SIDE, MAX_ASPECT * min(image.size))):
                return Reason.ODD_DIMENSIONS
            try:
                image.load()
            except (OSError, SyntaxError, ValueError):
                return Reason.TRUNCATED_IMAGE
            bits = imagehash.phash(image, hash_size=HASH_SIZE).hash
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return Reason.CORRUPT_IMAGE
    return bytes(np.packbits(bits))
