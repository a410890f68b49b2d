"""Decoding photos that strangers sent: within limits, upright, and without their metadata."""

import io
import struct
import zlib

from PIL import Image, ImageOps, UnidentifiedImageError

from snap2caption.errors import UserError
from snap2caption.parts import has_too_many_parts

MAX_PIXELS = 50_000_000
"""The most pixels a photo may have; a phone's largest is about 50 megapixels."""

MAX_ASPECT = 20
"""The longer side over the shorter one. Image processors scale the shorter side to what the model sees: a line of one pixel would fill gigabytes."""

FORMATS = ("JPEG", "PNG", "WEBP")

_SMOOTH = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
"""Modes whose colours can be mixed as they are."""

_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError, struct.error, zlib.error,
)  # fmt: skip


class ImageError(UserError):
    """The bytes are not a photo that we take; ``reason`` is a short word for counting."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep *reason* beside the message."""
        super().__init__(message)
        self.reason = reason


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, max_side: int | None = None) -> Image.Image:
    """Decode a photo completely.

    Args:
        data: the encoded photo (JPEG, PNG or WebP; of an animation the first frame).
        max_pixels: refuse a larger photo before its pixels are decoded.
        max_side: shrink a photo that is longer or higher than this many pixels; left out, photos keep their size.

    Returns:
        An RGB image, turned upright by its EXIF orientation, that carries no metadata.

    Raises:
        ImageError: with reason ``unreadable``, ``too_many_parts``, ``too_large``, ``too_narrow`` or ``truncated``.
    """
    _check_parts(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.width * opened.height > max_pixels:
                size = f"{opened.width}x{opened.height}"
                raise ImageError("too_large", f"The photo is {size} pixels; {_limit(max_pixels)}")
            if max(opened.size) > MAX_ASPECT * min(opened.size):
                size = f"{opened.width}x{opened.height}"
                raise ImageError("too_narrow", f"The photo is a strip of {size} pixels; crop it, and send it again.")
            if max_side:
                # Has a JPEG decoded at a half, quarter or eighth of its size, where that is still large enough; other formats take no notice.
                opened.draft(None, (max_side, max_side))
            opened.load()
            if max_side and opened.mode in _SMOOTH and "transparency" not in opened.info:
                # Before it is turned and flattened, each of which takes as much memory again.
                opened.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            image = flatten(ImageOps.exif_transpose(opened))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", f"The photo has far too many pixels; {_limit(max_pixels)}") from error
    except UnidentifiedImageError as error:
        raise ImageError("unreadable", "The file is not a JPEG, PNG or WebP photo; send one of those.") from error
    # Pillow's decoders report damaged data by any of these.
    except _DAMAGE as error:
        raise ImageError("truncated", "The photo is damaged or cut off; send it again.") from error
    if max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return image


def dimensions(data: bytes) -> tuple[int, int]:
    """Return the width and height that the header of a photo tells, without decoding it.

    Raises:
        ImageError: with reason ``unreadable``, if the header is damaged or of no format that `decode` takes, or ``too_many_parts``.
    """
    _check_parts(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return opened.size
    except (UnidentifiedImageError, Image.DecompressionBombError, *_DAMAGE) as error:
        raise ImageError("unreadable", "The file is not a JPEG, PNG or WebP photo; send one of those.") from error


def _check_parts(data: bytes) -> None:
    if has_too_many_parts(data):
        raise ImageError(
            "too_many_parts", "The photo's file is made of far too many parts; save it anew, and send that."
        )


def _limit(max_pixels: int) -> str:
    return f"send one of at most {max_pixels // 1_000_000} megapixels."


def flatten(image: Image.Image) -> Image.Image:
    """Return *image* as RGB without metadata; transparency becomes white, 16-bit grey is scaled to 8."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    image = image.convert("RGB")
    image.info = {}
    return image
