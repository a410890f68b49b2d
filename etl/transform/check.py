"""Checking samples, in worker processes: read from the archive, clean, decode, hash."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from etl.transform.archive import Pair
from etl.transform.caption import clean, fingerprint
from etl.transform.member import DamagedError
from etl.transform.reasons import Reason

HASH_SIZE = 16
"""Bits a side of the perceptual hash: 256 in all."""

MIN_SIDE, MAX_SIDE, MAX_ASPECT = 64, 10_000, 5.0
"""Pixels, and how much longer one side may be than the other."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A usable sample: its hashtags, and what it is compared by. Not its caption, so that a million of them fit into memory."""

    pair: Pair
    hashtags: tuple[str, ...]
    image_digest: bytes
    image_hash: bytes
    """The perceptual hash, 32 bytes."""
    caption_digest: bytes
    """Of the caption's fingerprint."""


def check_chunk(corpus: Path, pairs: Sequence[Pair]) -> list[Checked | Reason]:
    """Check some pairs, in their order."""
    with corpus.open("rb") as archive:
        return [check(archive, pair) for pair in pairs]


def check(archive: BinaryIO, pair: Pair) -> Checked | Reason:
    """Check one pair: the sample, or why it can't be used."""
    try:
        caption, tags = read_caption(archive, pair)
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
    return Checked(pair, tuple(tags), _digest(data), image_hash, _digest(fingerprint(caption).encode()))


def read_caption(archive: BinaryIO, pair: Pair) -> tuple[str, list[str]]:
    """Return the pair's cleaned caption and its hashtags.

    Raises:
        DamagedError: the member can't be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    return clean(pair.caption.read(archive).decode("utf-8"))


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
            if not (min(image.size) >= MIN_SIDE and max(image.size) <= min(MAX_SIDE, MAX_ASPECT * min(image.size))):
                return Reason.ODD_DIMENSIONS
            # In grey, and scaled while it is decoded: all of the data is read, and damage found, in half the time.
            image.draft("L", (4 * HASH_SIZE, 4 * HASH_SIZE))
            try:
                image.load()
            except (OSError, SyntaxError, ValueError):
                return Reason.TRUNCATED_IMAGE
            bits = imagehash.phash(image, hash_size=HASH_SIZE).hash
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return Reason.CORRUPT_IMAGE
    return bytes(np.packbits(bits))
