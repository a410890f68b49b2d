"""Photos that are strange, and photos all the same."""

import io
import random
import zipfile
import zlib

from PIL import Image, ImageOps

from hostile_photos.making import (
    ANYTHING,
    MAX_PIXELS,
    TAKEN,
    UPRIGHT,
    Made,
    after_start,
    chunk,
    encoded,
    kind,
    oriented,
    png_header,
    scene,
    segment,
)


@kind
def orientation(rng: random.Random, number: int) -> Made:
    which = number % 8 + 1
    image, turn = scene(rng), UPRIGHT[which - 1]
    stored = image if turn is None else image.transpose(turn)
    return encoded(stored, ("JPEG", "PNG", "WEBP")[number // 8 % 3], exif=oriented(which)), TAKEN


@kind
def odd_orientation(rng: random.Random, number: int) -> Made:
    exif = oriented((0, 9, 255, 65535)[number % 4])
    return encoded(scene(rng), ("JPEG", "PNG", "WEBP")[number % 3], exif=exif), TAKEN


@kind
def broken_exif(rng: random.Random, number: int) -> Made:
    start = (b"II*\0", b"MM\0*", b"", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff")[number % 5]
    return after_start(encoded(scene(rng)), segment(0xE1, b"Exif\0\0" + start + rng.randbytes(200))), ANYTHING


@kind
def cmyk(rng: random.Random, number: int) -> Made:
    return encoded(ImageOps.invert(scene(rng)).convert("CMYK"), progressive=number % 2 == 1), TAKEN


@kind
def gray(rng: random.Random, number: int) -> Made:
    mode = ("L", "1", "LA")[number % 3]
    return encoded(scene(rng, mode), "JPEG" if mode == "L" and number % 2 else "PNG"), TAKEN


@kind
def sixteen_bits(rng: random.Random, number: int) -> Made:
    if number % 2:
        return encoded(Image.new("I;16", (60, 40), rng.randrange(65536)), "PNG"), TAKEN
    row = b"\0" + rng.randbytes(60 * 3 * 2)
    return png_header(60, 40, depth=16) + chunk(b"IDAT", zlib.compress(row * 40)) + chunk(b"IEND", b""), TAKEN


@kind
def palette(rng: random.Random, number: int) -> Made:
    colors = (2, 4, 16, 256)[number % 4]
    transparent: dict[str, object] = {"transparency": bytes([0, 128])} if number % 3 == 0 else {}
    return encoded(scene(rng).quantize(colors), "PNG", **transparent), TAKEN


@kind
def palette_too_short(rng: random.Random, _: int) -> Made:
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + rng.randbytes(30)) * 30))
    return png_header(30, 30, colors=3) + chunk(b"PLTE", b"\1\2\3") + pixels + chunk(b"IEND", b""), ANYTHING


@kind
def transparent(rng: random.Random, number: int) -> Made:
    image = scene(rng, "RGBA")
    image.putalpha(rng.randrange(256))
    return encoded(image, ("PNG", "WEBP")[number % 2]), TAKEN


@kind
def color_key(rng: random.Random, _: int) -> Made:
    return encoded(scene(rng), "PNG", transparency=(0, 0, 0)), TAKEN


@kind
def interlaced(rng: random.Random, number: int) -> Made:
    # One pixel has only the first of the seven passes.
    row = chunk(b"IDAT", zlib.compress(b"\0" + rng.randbytes(3)))
    whole = png_header(1, 1, interlaced=1) + row + chunk(b"IEND", b"")
    return (whole, TAKEN) if number % 2 else (png_header(60, 40, interlaced=1) + row + chunk(b"IEND", b""), ANYTHING)


@kind
def animated(rng: random.Random, number: int) -> Made:
    image = scene(rng)
    others = [scene(rng, size=image.size) for _ in range(number % 4 + 1)]
    return encoded(image, ("PNG", "WEBP")[number % 2], save_all=True, append_images=others), TAKEN


@kind
def huge_metadata(rng: random.Random, number: int) -> Made:
    photo, filler = encoded(scene(rng)), rng.randbytes(60_000)
    if number % 3 == 0:
        return encoded(scene(rng), icc_profile=rng.randbytes(700_000)), TAKEN
    if number % 3 == 1:
        return after_start(photo, *[segment(0xE0 + rng.randrange(16), filler) for _ in range(10)]), ANYTHING
    text = chunk(b"tEXt", b"Comment\0" + rng.randbytes(700_000))
    return after_start(encoded(scene(rng), "PNG"), text), ANYTHING


@kind
def something_behind_it(rng: random.Random, number: int) -> Made:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr(zipfile.ZipInfo("../../etc/passwd"), "root::0:0::/:/bin/sh\n")
    tail = (archive.getvalue(), b"<script>alert(1)</script>", b"<?php system($_GET['c']); ?>", rng.randbytes(50_000))
    form = ("JPEG", "PNG", "WEBP")[number % 3]
    return encoded(scene(rng), form) + tail[number % 4], TAKEN, "photo.zip", "application/zip"


@kind
def something_inside(rng: random.Random, number: int) -> Made:
    said = (b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>", b"*/alert(1)/*", b"<svg onload=alert(1)>", b"GIF89a=1;")[
        number % 4
    ]
    if number % 2:
        return after_start(encoded(scene(rng)), segment(0xFE, said)), TAKEN, "photo.pdf", "application/pdf"
    return (
        after_start(encoded(scene(rng), "PNG"), chunk(b"tEXt", b"Comment\0" + said)),
        TAKEN,
        "photo.js",
        "text/javascript",
    )


@kind
def wrong_name(rng: random.Random, number: int) -> Made:
    names = (
        "photo.exe",
        "../../etc/passwd",
        "a" * 2000 + ".jpg",
        "photo.heic",
        "фото ✨.png",
        "con",
        ".",
        "C:\\photo.jpg",
    )
    types = ("text/html", "image/heic", "application/octet-stream", "nonsense", "image/svg+xml", "multipart/form-data")
    name, media_type = names[number % len(names)], types[number % len(types)]
    return encoded(scene(rng), ("JPEG", "PNG", "WEBP")[number % 3]), TAKEN, name, media_type


@kind
def as_large_as_allowed(rng: random.Random, number: int) -> Made:
    width = rng.randrange(400, 2500)
    image = Image.new(("RGB", "RGBA", "L")[number % 3], (width, MAX_PIXELS // width), "teal" if number % 3 < 2 else 99)
    form = "JPEG" if image.mode == "L" else ("PNG", "WEBP")[number % 2]
    return encoded(image, form), TAKEN


@kind
def tiny(rng: random.Random, number: int) -> Made:
    size = (1 + number % 3, 1 + number % 2)
    return encoded(scene(rng, size=(40, 40)).resize(size), ("JPEG", "PNG", "WEBP")[number % 3]), TAKEN
