"""Checking a sample: read from the archive, clean, decode, hash."""

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from etl.transform.caption import clean, fingerprint
from etl.transform.member import DamagedError, Pair
from etl.transform.reasons import Reason
from snap2caption.images import MAX_PIXELS

HASH_SIZE = 16
"""Bits a side of the perceptual hash: 256 in all."""

_HASHED_SIDE = 4 * HASH_SIZE
"""Pixels that imagehash scales a side to."""

MIN_SIDE, MAX_SIDE, MAX_ASPECT = 64, 10_000, 5.0
"""Pixels, and how much longer one side may be than the other."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A usable sample: its words, and what it is compared by."""

    caption: str
    hashtags: list[str]
    image_digest: bytes
    image_hash: bytes
    """The perceptual hash, 32 bytes."""
    caption_digest: bytes
    """Of the caption's fingerprint."""


def check(archive: BinaryIO, pair: Pair) -> Checked | Reason:
    """Check one pair: the sample, or why it can't be used."""
    try:
        caption, tags = clean(pair.caption.read(archive).decode("utf-8"))
    except (DamagedError, UnicodeDecodeError):
        return Reason.UNDECODABLE_CAPTION
    if not caption:
        return Reason.EMPTY_CAPTION
    try:
        data = pair.image.read(archive)
    except DamagedError:
        return Reason.CORRUPT_IMAGE
    image_hash = hash_image(data)
    if isinstance(image_hash, Reason):
        return image_hash
    return Checked(caption, tags, _digest(data), image_hash, _digest(fingerprint(caption).encode()))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hash_image(data: bytes) -> bytes | Reason:
    """Decode a JPEG completely (a check of its header would miss a truncation) and return its perceptual hash, or what is wrong.

    Returns:
        256 bits: which of the 16x16 lowest frequencies of the grey picture are above their median (Zauner, "Implementation and benchmarking
        of perceptual image hash functions", 2010).
    """
    import imagehash

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if _is_odd(*image.size):
                return Reason.ODD_DIMENSIONS
            # Grey, and by up to 8 times smaller: half the work, and every byte is still read, so that it finds the damage that load() finds.
            image.draft("L", (_HASHED_SIDE, _HASHED_SIDE))
            try:
                image.load()
            except (OSError, SyntaxError, ValueError):
                return Reason.TRUNCATED_IMAGE
            bits = imagehash.phash(image, hash_size=HASH_SIZE).hash
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return Reason.CORRUPT_IMAGE
    return bytes(np.packbits(bits))


def _is_odd(width: int, height: int) -> bool:
    short, long = sorted((width, height))
    # More pixels than that neither training nor serving decodes.
    return short < MIN_SIDE or long > min(MAX_SIDE, MAX_ASPECT * short) or width * height > MAX_PIXELS
