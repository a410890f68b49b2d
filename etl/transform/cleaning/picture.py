"""Picture decoding and perceptual hash: every byte is decoded, and near-duplicates have similar hashes."""

import functools
import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from etl.transform.cleaning.orientation import find_turns
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.images import FORMATS, MAX_PIXELS

HASH_SIZE = 16
"""Bits per side of the perceptual hash: 256 in all."""

INSET = 0.03
"""Share of each side that is cut off for the second view of a picture.

A cropped copy is nearer to one of the two views than to the whole.
"""

VIEWS = 2
VIEW_BYTES = HASH_SIZE * HASH_SIZE // 8
TURN = VIEWS * VIEW_BYTES
"""Offset, after the views, of the byte with the picture's orientation (`etl.transform.cleaning.orientation`)."""
HASH_BYTES = TURN + 1
"""Bytes of a picture's complete hash."""

_HASHED_SIDE = 4 * HASH_SIZE
"""Pixels that a side is scaled to."""

MIN_SIDE, MAX_SIDE, MAX_ASPECT = 64, 10_000, 5.0
"""Limits of a side in pixels, and of the ratio of the longer side to the shorter one."""


def compute_spectrum(data: bytes) -> npt.NDArray[np.float64] | RejectionReason:
    """Decode a picture completely, whatever its file's name (checking the header alone would miss a truncation).

    Returns:
        (2, 16, 16): the lowest frequencies of the gray picture and of its inner part (`INSET`), for
            `hash_pictures`; or the reason to reject it.
    """
    picture = _decode(data)
    if isinstance(picture, RejectionReason):
        return picture
    height, width = picture.shape
    # imagehash.phash transforms each row, then each column, which takes five times as long.
    rows = (_frequencies(height) @ picture.astype(np.float64)).reshape(VIEWS, HASH_SIZE, width)
    found: npt.NDArray[np.float64] = rows @ _frequencies(width).reshape(VIEWS, HASH_SIZE, width).transpose(0, 2, 1)
    return found


def hash_pictures(spectra: Sequence[npt.NDArray[np.float64]]) -> list[bytes]:
    """Return the perceptual hashes of each picture's spectrum: 32 bytes of the whole, 32 of its inner part, one
    for its orientation.

    Each of the 256 bits says whether one of the lowest frequencies is above their median (Zauner,
    "Implementation and benchmarking of perceptual image hash functions", 2010). Except for rounding, it is the
    hash of imagehash.phash.

    Args:
        spectra: results of `compute_spectrum`.
    """
    if not spectra:
        return []
    # Rounding errors, which differ between processors, must not decide what is above the median in a picture of
    # one color.
    found = np.stack(spectra).reshape(len(spectra) * VIEWS, -1).round(3)
    bits = np.packbits(found > np.median(found, axis=1, keepdims=True), axis=1)
    turns = find_turns(np.stack([spectrum[0] for spectrum in spectra]))
    return [row.tobytes() for row in np.column_stack([bits.reshape(len(spectra), TURN), turns])]


def hash_picture(data: bytes) -> bytes | RejectionReason:
    """Return the perceptual hashes of one JPEG, or the reason to reject it."""
    spectrum = compute_spectrum(data)
    return spectrum if isinstance(spectrum, RejectionReason) else hash_pictures([spectrum])[0]


@functools.lru_cache(maxsize=64)
def _frequencies(side: int) -> npt.NDArray[np.float64]:
    """Return a (32, side) matrix that scales a row of pixels to 64 with a Lanczos filter and takes its lowest
    frequencies (DCT-II).

    16 rows are for the whole, 16 for the inner part.
    """
    ones = Image.fromarray(np.eye(side, dtype=np.float32))
    angles = np.outer(np.arange(HASH_SIZE), 2 * np.arange(_HASHED_SIDE) + 1) * np.pi / (2 * _HASHED_SIDE)
    found = []
    for cut in (0.0, INSET * side):
        scaled = np.asarray(
            ones.resize((side, _HASHED_SIDE), Image.Resampling.LANCZOS, (0, cut, side, side - cut)), dtype=np.float64
        )
        # Normalize, as Pillow's weights have only seven digits.
        found.append(np.cos(angles) @ (scaled / scaled.sum(axis=1, keepdims=True)))
    return np.concatenate(found)


def _decode(data: bytes) -> npt.NDArray[np.uint8] | RejectionReason:
    """Return the picture in gray, at up to an eighth of its size.

    This halves the work. Every byte is still read, so no damage is missed.
    """
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if not _is_odd(width, height):
            # Scale by 1, 2, 4 or 8: with another factor, resized copies look less like their original.
            factor = next(factor for factor in (8, 4, 2, 1) if min(height, width) >= factor * _HASHED_SIDE)
            gray: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
                data, "GRAY", min_height=math.ceil(height / factor), min_width=math.ceil(width / factor)
            )
            return gray[:, :, 0]
    except ValueError:
        pass  # simplejpeg reports all damage, and much that is none
    return _decode_doubtful(data)


def _decode_doubtful(data: bytes) -> npt.NDArray[np.uint8] | RejectionReason:
    """Return the picture if Pillow, with which training decodes, accepts it; else the reason to reject it."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if _is_odd(*image.size):
                return RejectionReason.ODD_DIMENSIONS
            image.draft("L", (_HASHED_SIDE, _HASHED_SIDE))
            try:
                return np.asarray(image.convert("L"))
            except (OSError, SyntaxError, ValueError):
                return RejectionReason.TRUNCATED_IMAGE
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return RejectionReason.CORRUPT_IMAGE


def _is_odd(width: int, height: int) -> bool:
    short, long = sorted((width, height))
    # Neither training nor serving decodes more pixels than that.
    return short < MIN_SIDE or long > min(MAX_SIDE, MAX_ASPECT * short) or width * height > MAX_PIXELS
