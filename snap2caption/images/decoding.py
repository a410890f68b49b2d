"""In-process image decoding with Pillow."""

import io
import struct
import zlib
from collections.abc import Collection

from PIL import Image, ImageOps, UnidentifiedImageError

from snap2caption.formats.file_signatures import TAKEN, format_of, with_article
from snap2caption.images.errors import ImageError
from snap2caption.images.parts import has_separate_scans, has_too_many_parts

MAX_PIXELS = 50_000_000
"""The most pixels that are decoded of a photo. A JPEG that will be shrunk is decoded at a half, quarter or eighth of
its size.
"""

MAX_REDUCTION = 4
"""How many times `MAX_PIXELS` a photo may have if it is decoded at a reduced size.

All of its pixels are still read. Phones make up to 200 megapixels.
"""

WORKING_SIDE = 1344
"""Pixels per side of photos that are queued, stored or displayed.

This is twice the 672 pixels that the largest LLaVA uses, and takes 5 MB instead of 150.
"""

MAX_ASPECT = 20
"""The largest ratio of the longer to the shorter side.

Image processors scale the shorter side to the model's input size, so a line one pixel high would fill gigabytes.
"""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
"""Formats that are decoded in this process.

Those in `snap2caption.images.isolation`, whose decoders have no limits of their own, are decoded in another
process.
"""

_COEFFICIENTS = 1 / 8
"""The cost of each component of a pixel where libjpeg holds the coefficients of the whole photo.

They take 2 bytes, of the at most 16 bytes that a decoded pixel takes.
"""

_SMOOTH = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
"""Modes whose colors can be interpolated directly."""

_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, AttributeError,
    struct.error, zlib.error,
)  # fmt: skip

# Pillow's limit counts the pixels of the file. Ours counts decoded pixels, and is checked before decoding.
Image.MAX_IMAGE_PIXELS = None


def decode_here(data: bytes, formats: Collection[str], max_pixels: int, max_side: int | None, name: str) -> Image.Image:
    """Decode a photo in one of *formats* (Pillow's names) in this process; otherwise like
    `snap2caption.images.decode`.
    """
    label = f"{name} ({format_of(data) or 'of no format that is known'})"
    _check_parts(data, label)
    try:
        with Image.open(io.BytesIO(data), formats=tuple(formats)) as opened:
            _reduce(opened, data, max_pixels, max_side, label)
            opened.load()
            if max_side and opened.mode in _SMOOTH and "transparency" not in opened.info:
                # Shrink it before it is turned and flattened, because each of these steps takes as much memory again.
                opened.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            image = flatten(ImageOps.exif_transpose(opened))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise _unreadable(data, name) from error
    # Pillow's decoders report damaged data by any of these.
    except _DAMAGE as error:
        raise ImageError("truncated", f"{label} is damaged or cut off; send it again.") from error
    if max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return image


def dimensions(data: bytes) -> tuple[int, int]:
    """Return the width and height in a photo's header, without decoding the photo.

    Raises:
        ImageError: with reason ``unreadable``, if the header is damaged or not of one of `FORMATS`, or
            ``too_many_parts``.
    """
    _check_parts(data, "The photo")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return opened.size
    except (UnidentifiedImageError, *_DAMAGE) as error:
        raise _unreadable(data, "The photo") from error


def _reduce(opened: Image.Image, data: bytes, max_pixels: int, max_side: int | None, label: str) -> None:
    """Make a JPEG decode at half, a quarter or an eighth of its size, if that is large enough. Other formats ignore
    it.

    Raises:
        ImageError: the decoded photo would still have too many pixels.
    """
    width, height = opened.size
    if max(opened.size) > MAX_ASPECT * min(opened.size):
        raise ImageError("too_narrow", f"{label} is a strip of {width}x{height} pixels; crop it, and send it again.")
    if max_side:
        opened.draft(None, _fit(width, height, max_side))
    decoded: float = opened.width * opened.height
    if has_separate_scans(data):
        decoded += width * height * len(opened.getbands()) * _COEFFICIENTS
    if decoded > max_pixels or width * height > MAX_REDUCTION * max_pixels:
        allowed = f"{max_pixels // 1_000_000} megapixels"
        raise ImageError("too_large", f"{label} is {width}x{height} pixels; send one of at most {allowed}.")


def _fit(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Return the size that a photo is shrunk to."""
    longer = max(width, height, max_side)
    return max(1, width * max_side // longer), max(1, height * max_side // longer)


def _unreadable(data: bytes, name: str) -> ImageError:
    form = format_of(data)
    if form in TAKEN.replace(",", "").split():
        return ImageError("unreadable", f"{name} ({form}) is damaged at its start; send it again.")
    found = f"is {with_article(form)} file" if form else "is of no format that is known"
    return ImageError("unreadable", f"{name} {found}; send it as {TAKEN}.")


def _check_parts(data: bytes, label: str) -> None:
    if has_too_many_parts(data):
        raise ImageError("too_many_parts", f"{label} is made of far too many parts; save it anew, and send that.")


def flatten(image: Image.Image) -> Image.Image:
    """Return *image* as RGB without metadata. Transparency becomes white, and 16-bit gray is scaled to 8 bits."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.point(lambda value: value / 256).convert("L")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    image = image.convert("RGB")
    image.info = {}
    return image
