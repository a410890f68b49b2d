"""HEIC and AVIF, whole, broken and hostile."""

import io
import random
import struct
from functools import cache

import pillow_heif
from PIL import Image

from hostile_photos.making import ANYTHING, DAMAGED, REFUSED, TAKEN, TOO_LARGE, Made, encoded, kind, scene


def heif(image: Image.Image, form: str, **options: object) -> bytes:
    """A photo as HEIC or AVIF."""
    if form == "AVIF":
        return encoded(image, "AVIF", speed=10, **options)
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, format="HEIF", **options)
    return stream.getvalue()


def _larger_than_it_says(photo: bytes, form: str) -> bytes:
    """A file whose container says that it is tiny; the codec's own size is another."""
    at = photo.index(b"ispe") + 8
    return photo[:at] + struct.pack(">II", 16, 16) + photo[at + 8 :]


@cache
def _flat(form: str, side: int) -> bytes:
    """Many pixels of one color in few bytes."""
    return heif(Image.new("RGB", (side, side), "teal"), form, quality=10)


@kind
def heif_photo(rng: random.Random, number: int) -> Made:
    form = ("HEIC", "AVIF")[number % 2]
    mode = ("RGB", "RGBA", "L")[number % 3]
    return heif(scene(rng, mode), form), TAKEN, f"IMG_0001.{form}", f"image/{form.lower()}"


@kind
def damaged_heif(rng: random.Random, number: int) -> Made:
    form = ("HEIC", "AVIF")[number % 2]
    photo = bytearray(heif(scene(rng), form))
    if number % 3 == 0:
        return bytes(photo[: rng.randrange(8, len(photo))]), ANYTHING
    reach = len(photo) if number % 3 == 1 else min(len(photo), 500)
    for _ in range((1, 4, 20)[number // 3 % 3]):
        photo[rng.randrange(reach)] = rng.choice((0, 0x7F, 0xFF, rng.randrange(256)))
    return bytes(photo), ANYTHING


@kind
def heif_of_too_many_pixels(rng: random.Random, number: int) -> Made:
    form, side = ("HEIC", "AVIF")[number % 2], 3000
    if number % 4 < 2:
        return _flat(form, side), TOO_LARGE
    return _larger_than_it_says(_flat(form, side), form), REFUSED | TAKEN


@kind
def heif_of_nothing(rng: random.Random, number: int) -> Made:
    brand = (b"heic", b"heix", b"mif1", b"avif", b"avis", b"msf1", b"crx ", b"qt  ", b"isom")[number % 9]
    box = struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + b"mif1" + brand
    return box + struct.pack(">I", 300) + b"meta" + rng.randbytes(292), DAMAGED, "IMG_0001.HEIC", "image/heic"
