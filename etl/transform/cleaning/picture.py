"""What a photo looks like: decoded to its last byte, and the perceptual hash by which photos are compared."""

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
"""Bits a side of the perceptual hash: 256 in all."""

INSET = 0.03
"""The share of each side that is cut off for the second view of a picture: a copy that was cropped is nearer to one of the two than to the whole."""

VIEWS = 2
VIEW_BYTES = HASH_SIZE * HASH_SIZE // 8
TURN = VIEWS * VIEW_BYTES
"""The place, after the views, of the byte that tells how the picture lies (`etl.transform.cleaning.orientation`)."""
HASH_BYTES = TURN + 1
"""What a picture is compared by."""

_HASHED_SIDE = 4 * HASH_SIZE
"""Pixels that a side is scaled to."""

MIN_SIDE, MAX_SIDE, MAX_ASPECT = 64, 10_000, 5.0
"""Pixels, and how much longer one side may be than the other."""


def look_at(data: bytes) -> npt.NDArray[np.float64] | RejectionReason:
    """Decode a picture completely, whatever its file was called (a check of its header would miss a truncation).

    Returns:
        (2, 16, 16): the lowest frequencies of the gray picture, and of its inner part (`INSET`), for `hash_pictures`; or what is wrong.
    """
    picture = _decode(data)
    if isinstance(picture, RejectionReason):
        return picture
    height, width = picture.shape
    # imagehash.phash does this with each row, then each column, in five times as long.
    rows = (_frequencies(height) @ picture.astype(np.float64)).reshape(VIEWS, HASH_SIZE, width)
    found: npt.NDArray[np.float64] = rows @ _frequencies(width).reshape(VIEWS, HASH_SIZE, width).transpose(0, 2, 1)
    return found


def hash_pictures(looks: Sequence[npt.NDArray[np.float64]]) -> list[bytes]:
    """Return the perceptual hashes of each picture that `look_at` saw: 32 bytes of the whole, 32 of its inner part, one of how it lies.

    256 bits: which of the lowest frequencies are above their median (Zauner, "Implementation and benchmarking of perceptual image hash
    functions", 2010). But for rounding it is the hash that imagehash.phash finds.
    """
    if not looks:
        return []
    # Errors of the arithmetic, which differ between processors, must not decide what is above the median in a picture of one color.
    found = np.stack(looks).reshape(len(looks) * VIEWS, -1).round(3)
    bits = np.packbits(found > np.median(found, axis=1, keepdims=True), axis=1)
    turns = find_turns(np.stack([look[0] for look in looks]))
    return [row.tobytes() for row in np.column_stack([bits.reshape(len(looks), TURN), turns])]


def hash_picture(data: bytes) -> bytes | RejectionReason:
    """Return the perceptual hashes of one JPEG; or what is wrong."""
    look = look_at(data)
    return look if isinstance(look, RejectionReason) else hash_pictures([look])[0]


@functools.lru_cache(maxsize=64)
def _frequencies(side: int) -> npt.NDArray[np.float64]:
    """Return a (32, side) matrix: a row of pixels scaled to 64 by a Lanczos filter, of which then the lowest frequencies (DCT-II).

    16 rows for the whole, 16 for the inner part.
    """
    ones = Image.fromarray(np.eye(side, dtype=np.float32))
    angles = np.outer(np.arange(HASH_SIZE), 2 * np.arange(_HASHED_SIDE) + 1) * np.pi / (2 * _HASHED_SIDE)
    found = []
    for cut in (0.0, INSET * side):
        scaled = np.asarray(
            ones.resize((side, _HASHED_SIDE), Image.Resampling.LANCZOS, (0, cut, side, side - cut)), dtype=np.float64
        )
        # Pillow's weights have seven digits.
        found.append(np.cos(angles) @ (scaled / scaled.sum(axis=1, keepdims=True)))
    return np.concatenate(found)


def _decode(data: bytes) -> npt.NDArray[np.uint8] | RejectionReason:
    """Return the picture in gray, and by up to 8 times smaller: half the work, and every byte is still read, so that no damage is missed."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if not _is_odd(width, height):
            # By 1, 2, 4 or 8: by another factor, copies of another size look less like their original.
            factor = next(factor for factor in (8, 4, 2, 1) if min(height, width) >= factor * _HASHED_SIDE)
            gray: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
                data, "GRAY", min_height=math.ceil(height / factor), min_width=math.ceil(width / factor)
            )
            return gray[:, :, 0]
    except ValueError:
        pass  # it complains of all damage, and of much that is none
    return _decode_doubtful(data)


def _decode_doubtful(data: bytes) -> npt.NDArray[np.uint8] | RejectionReason:
    """Return the picture if Pillow takes it, with which training decodes; else what is wrong."""
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
    # More pixels than that neither training nor serving decodes.
    return short < MIN_SIDE or long > min(MAX_SIDE, MAX_ASPECT * short) or width * height > MAX_PIXELS
