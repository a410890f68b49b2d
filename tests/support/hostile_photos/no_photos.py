"""Files that are no photos."""

import json
import random

from hostile_photos.making import NO_PHOTO, REFUSED, TAKEN, Made, encoded, kind, scene


@kind
def empty(rng: random.Random, number: int) -> Made:
    return (b"", b"\0", b"\n", bytes(rng.randrange(5000)))[number % 4], NO_PHOTO


@kind
def text(rng: random.Random, number: int) -> Made:
    said = (
        "not a photo", "{}", json.dumps({"image": "x" * 500}), "' OR 1=1 --", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}",
        "file:///etc/passwd", "http://127.0.0.1:9/photo.jpg", "data:image/png;base64,AAAA",
    )[number % 9]  # fmt: skip
    return said.encode() * rng.randrange(1, 50), NO_PHOTO, "photo.txt", "text/plain"


@kind
def noise(rng: random.Random, _: int) -> Made:
    return rng.randbytes(rng.randrange(1, 20_000)), NO_PHOTO


@kind
def svg(_: random.Random, number: int) -> Made:
    inside = (
        '<script>fetch("http://127.0.0.1:9")</script>',
        '<image href="file:///etc/passwd"/>',
        '<rect width="1e9" height="1e9"/>',
    )[number % 3]
    bomb = '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' if number % 2 else ""
    document = f'<?xml version="1.0"?>{bomb}<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
    return document.encode(), NO_PHOTO, "photo.svg", "image/svg+xml"


@kind
def other_format(rng: random.Random, number: int) -> Made:
    form = ("BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "EPS", "DDS", "SGI")[number % 10]
    return encoded(scene(rng), form), NO_PHOTO, f"photo.{form.lower()}", f"image/{form.lower()}"


@kind
def animated_gif(rng: random.Random, _: int) -> Made:
    image = scene(rng)
    frames = [scene(rng, size=image.size) for _ in range(3)]
    return encoded(image, "GIF", save_all=True, append_images=frames), TAKEN, "photo.gif", "image/gif"


@kind
def script_in_a_gif(rng: random.Random, _: int) -> Made:
    return b"GIF89a/*" + rng.randbytes(40) + b"*/=1;alert(1)//;", REFUSED, "photo.gif", "image/gif"


@kind
def program(rng: random.Random, number: int) -> Made:
    starts = (
        b"MZ\x90\0",
        b"\x7fELF\x02\x01",
        b"PK\x03\x04",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0\n(%pipe%id) (w) file\n",
        b"\x1f\x8b\x08\0",
    )
    return starts[number % 6] + rng.randbytes(800), NO_PHOTO, "photo.jpg", "image/jpeg"
