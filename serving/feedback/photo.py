"""Photos as feedback keeps them."""

import io

from snap2caption.images import WORKING_SIDE, decode

_QUALITY = 92


def encode_photo(data: bytes, max_pixels: int) -> bytes:
    """Return a photo decoded, upright, without any metadata, at most 1344 pixels a side, as JPEG; the same bytes for the same photo.

    Raises:
        ImageError: it is none that we take.
    """
    stream = io.BytesIO()
    decode(data, max_pixels=max_pixels, max_side=WORKING_SIDE).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
