"""Image decoding of untrusted photos: within limits, upright, without metadata."""

from PIL import Image

from snap2caption.formats.file_signatures import format_of
from snap2caption.images.decoding import FORMATS, MAX_PIXELS, WORKING_SIDE, decode_here, dimensions, flatten
from snap2caption.images.errors import ImageError
from snap2caption.images.isolation import ISOLATED, decode_isolated

__all__ = ["FORMATS", "MAX_PIXELS", "WORKING_SIDE", "ImageError", "decode", "dimensions", "flatten"]


def decode(
    data: bytes, *, max_pixels: int = MAX_PIXELS, max_side: int | None = None, name: str = "The photo"
) -> Image.Image:
    """Decode a photo completely.

    Args:
        data: the encoded photo (JPEG, PNG, WebP, GIF, HEIC or AVIF; of an animation, the first frame).
        max_pixels: refuse a photo that would decode to more pixels, before decoding it.
        max_side: shrink a photo whose longer side has more pixels than this; by default, photos keep their size.
        name: what errors call the photo.

    Returns:
        An RGB image without metadata, turned upright by the orientation in its EXIF or container.

    Raises:
        ImageError: with reason ``unreadable``, ``too_many_parts``, ``too_large``, ``too_narrow`` or ``truncated``.
    """
    if format_of(data) in ISOLATED:
        return decode_isolated(data, max_pixels, max_side, name)
    return decode_here(data, FORMATS, max_pixels, max_side, name)
