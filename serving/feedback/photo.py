"""Photo normalization for feedback."""

import io

from snap2caption.images import WORKING_SIDE, decode

_QUALITY = 92


def encode_photo(data: bytes, max_pixels: int) -> bytes:
    """Return a photo as JPEG: upright, without metadata, and with sides of at most 1344 pixels.

    The same photo always gives the same bytes.

    Raises:
        ImageError: the photo is too large, broken, or in an unsupported format.
    """
    stream = io.BytesIO()
    decode(data, max_pixels=max_pixels, max_side=WORKING_SIDE).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
