"""Image decoding: photos that strangers sent, within limits, upright, and without their metadata."""

from PIL import Image

from snap2caption.file_signatures import format_of
from snap2caption.images.decoding import FORMATS, MAX_PIXELS, WORKING_SIDE, decode_here, dimensions, flatten
from snap2caption.images.errors import ImageError
from snap2caption.images.isolation import ISOLATED, decode_isolated

__all__ = ["FORMATS", "MAX_PIXELS", "WORKING_SIDE", "ImageError", "decode", "dimensions", "flatten"]


def decode(
    data: bytes, *, max_pixels: int = MAX_PIXELS, max_side: int | None = None, name: str = "The photo"
) -> Image.Image:
    """Decode a photo completely.

    Args:
        data: the encoded photo (JPEG, PNG, WebP, GIF, HEIC or AVIF; of an animation the first frame).
        max_pixels: refuse a photo of which more would be decoded, before they are.
        max_side: shrink a photo that is longer or higher than this many pixels; left out, photos keep their size.
        name: what an error calls it.

    Returns:
        An RGB image, turned upright by its EXIF orientation or its container's, that carries no metadata.

    Raises:
        ImageError: with reason ``unreadable``, ``too_many_parts``, ``too_large``, ``too_narrow`` or ``truncated``.
    """
    if format_of(data) in ISOLATED:
        return decode_isolated(data, max_pixels, max_side, name)
    return decode_here(data, FORMATS, max_pixels, max_side, name)
