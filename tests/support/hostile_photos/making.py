"""Making uploads: the register of their kinds, and parts of files that several kinds are made of."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

MAX_PIXELS = 1_000_000
"""What the service under test is set to take; some photos here are just as large, others just larger."""

UPRIGHT = (None, *(Image.Transpose(method) for method in (0, 3, 1, 5, 2, 6, 4)))
"""By EXIF orientation less one: how an upright photo was turned to be stored so."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as a client sends it, and what must come of it."""

    kind: str
    number: int
    data: bytes
    outcomes: frozenset[str]
    """``captioned``, or the reasons of a refusal."""
    filename: str = "photo.jpg"
    media_type: str = "image/jpeg"


TAKEN = frozenset({"captioned"})
NO_PHOTO = frozenset({"image_unreadable"})
DAMAGED = frozenset({"image_unreadable", "image_truncated"})
TOO_LARGE = frozenset({"image_too_large"})
TOO_MANY_PARTS = frozenset({"image_too_many_parts"})
REFUSED = DAMAGED | TOO_LARGE | TOO_MANY_PARTS | {"image_too_narrow"}
ANYTHING = TAKEN | REFUSED

Made = tuple[bytes, frozenset[str]] | tuple[bytes, frozenset[str], str, str]
Maker = Callable[[random.Random, int], Made]

MAKERS: dict[str, Maker] = {}


def kind(maker: Maker) -> Maker:
    MAKERS[maker.__name__] = maker
    return maker


def scene(rng: random.Random, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
    """A sky, a ground and some noise: no side like another, so that one can tell how it was turned."""
    width, height = size or (rng.randrange(40, 160), rng.randrange(40, 160))
    pixels = np.random.default_rng(rng.getrandbits(32)).integers(0, 40, (height, width, 3), dtype=np.uint8)
    pixels[: height // 3] += np.array([rng.randrange(100, 200) for _ in range(3)], dtype=np.uint8)
    pixels[:, : width // 4, 0] += 60
    return Image.fromarray(pixels).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int = 8, colors: int = 2, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colors, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG file."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def after_start(photo: bytes, *inserted: bytes) -> bytes:
    """Put segments right behind a JPEG's start, or chunks right behind a PNG's header."""
    at = 2 if photo.startswith(b"\xff\xd8") else 33
    return photo[:at] + b"".join(inserted) + photo[at:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of such chunks."""
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@cache
def inflating() -> bytes:
    """64 KB that become 64 MB."""
    return zlib.compress(bytes(64 * 2**20), 9)


@cache
def large_frame(side: int) -> bytes:
    """A WebP's pixels, many more than `MAX_PIXELS`."""
    return encoded(Image.new("RGB", (side, side)), "WEBP", quality=1, method=0)[12:]


def some_photo(rng: random.Random) -> bytes:
    """A small photo in one of the formats that are taken, in one of their forms."""
    image, other = scene(rng), scene(rng)
    forms: list[Callable[[], bytes]] = [
        lambda: encoded(image, exif=oriented(rng.randrange(1, 9))),
        lambda: encoded(image, progressive=True, quality=90),
        lambda: encoded(image.convert("CMYK")),
        lambda: encoded(image, restart_marker_rows=1),
        lambda: encoded(image, "PNG", exif=oriented(6)),
        lambda: encoded(image.quantize(16), "PNG", transparency=3),
        lambda: encoded(image, "PNG", save_all=True, append_images=[other.resize(image.size)]),
        lambda: encoded(image, "WEBP", exif=oriented(3)),
        lambda: encoded(image.convert("RGBA"), "WEBP", lossless=True),
        lambda: encoded(image, "WEBP", save_all=True, append_images=[other.resize(image.size)]),
    ]
    return rng.choice(forms)()
