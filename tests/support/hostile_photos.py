"""Photos that are broken, hostile or strange, some of each kind: always the same ones for a seed."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image, ImageOps

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


def corpus(each: int, seed: int = 0) -> Iterator[Upload]:
    """Make *each* uploads of every kind."""
    for number in range(each):
        for kind, maker in MAKERS.items():
            yield Upload(kind, number, *maker(random.Random(f"{seed} {kind} {number}"), number))


def _kind(maker: Maker) -> Maker:
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


def png_header(width: int, height: int, depth: int = 8, colours: int = 2, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
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


# Strange, but photos


@_kind
def orientation(rng: random.Random, number: int) -> Made:
    which = number % 8 + 1
    image, turn = scene(rng), UPRIGHT[which - 1]
    stored = image if turn is None else image.transpose(turn)
    return encoded(stored, ("JPEG", "PNG", "WEBP")[number // 8 % 3], exif=oriented(which)), TAKEN


@_kind
def odd_orientation(rng: random.Random, number: int) -> Made:
    exif = oriented((0, 9, 255, 65535)[number % 4])
    return encoded(scene(rng), ("JPEG", "PNG", "WEBP")[number % 3], exif=exif), TAKEN


@_kind
def broken_exif(rng: random.Random, number: int) -> Made:
    start = (b"II*\0", b"MM\0*", b"", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\xff\xff\xff\xff")[number % 5]
    return after_start(encoded(scene(rng)), segment(0xE1, b"Exif\0\0" + start + rng.randbytes(200))), ANYTHING


@_kind
def cmyk(rng: random.Random, number: int) -> Made:
    return encoded(ImageOps.invert(scene(rng)).convert("CMYK"), progressive=number % 2 == 1), TAKEN


@_kind
def grey(rng: random.Random, number: int) -> Made:
    mode = ("L", "1", "LA")[number % 3]
    return encoded(scene(rng, mode), "JPEG" if mode == "L" and number % 2 else "PNG"), TAKEN


@_kind
def sixteen_bits(rng: random.Random, number: int) -> Made:
    if number % 2:
        return encoded(Image.new("I;16", (60, 40), rng.randrange(65536)), "PNG"), TAKEN
    row = b"\0" + rng.randbytes(60 * 3 * 2)
    return png_header(60, 40, depth=16) + chunk(b"IDAT", zlib.compress(row * 40)) + chunk(b"IEND", b""), TAKEN


@_kind
def palette(rng: random.Random, number: int) -> Made:
    colours = (2, 4, 16, 256)[number % 4]
    transparent: dict[str, object] = {"transparency": bytes([0, 128])} if number % 3 == 0 else {}
    return encoded(scene(rng).quantize(colours), "PNG", **transparent), TAKEN


@_kind
def palette_too_short(rng: random.Random, _: int) -> Made:
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + rng.randbytes(30)) * 30))
    return png_header(30, 30, colours=3) + chunk(b"PLTE", b"\1\2\3") + pixels + chunk(b"IEND", b""), ANYTHING


@_kind
def transparent(rng: random.Random, number: int) -> Made:
    image = scene(rng, "RGBA")
    image.putalpha(rng.randrange(256))
    return encoded(image, ("PNG", "WEBP")[number % 2]), TAKEN


@_kind
def colour_key(rng: random.Random, _: int) -> Made:
    return encoded(scene(rng), "PNG", transparency=(0, 0, 0)), TAKEN


@_kind
def interlaced(rng: random.Random, number: int) -> Made:
    # One pixel has only the first of the seven passes.
    row = chunk(b"IDAT", zlib.compress(b"\0" + rng.randbytes(3)))
    whole = png_header(1, 1, interlaced=1) + row + chunk(b"IEND", b"")
    return (whole, TAKEN) if number % 2 else (png_header(60, 40, interlaced=1) + row + chunk(b"IEND", b""), ANYTHING)


@_kind
def animated(rng: random.Random, number: int) -> Made:
    image = scene(rng)
    others = [scene(rng, size=image.size) for _ in range(number % 4 + 1)]
    return encoded(image, ("PNG", "WEBP")[number % 2], save_all=True, append_images=others), TAKEN


@_kind
def huge_metadata(rng: random.Random, number: int) -> Made:
    photo, filler = encoded(scene(rng)), rng.randbytes(60_000)
    if number % 3 == 0:
        return encoded(scene(rng), icc_profile=rng.randbytes(700_000)), TAKEN
    if number % 3 == 1:
        return after_start(photo, *[segment(0xE0 + rng.randrange(16), filler) for _ in range(10)]), ANYTHING
    text = chunk(b"tEXt", b"Comment\0" + rng.randbytes(700_000))
    return after_start(encoded(scene(rng), "PNG"), text), ANYTHING


@_kind
def something_behind_it(rng: random.Random, number: int) -> Made:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr(zipfile.ZipInfo("../../etc/passwd"), "root::0:0::/:/bin/sh\n")
    tail = (archive.getvalue(), b"<script>alert(1)</script>", b"<?php system($_GET['c']); ?>", rng.randbytes(50_000))
    form = ("JPEG", "PNG", "WEBP")[number % 3]
    return encoded(scene(rng), form) + tail[number % 4], TAKEN, "photo.zip", "application/zip"


@_kind
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


@_kind
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


@_kind
def as_large_as_allowed(rng: random.Random, number: int) -> Made:
    width = rng.randrange(400, 2500)
    image = Image.new(("RGB", "RGBA", "L")[number % 3], (width, MAX_PIXELS // width), "teal" if number % 3 < 2 else 99)
    form = "JPEG" if image.mode == "L" else ("PNG", "WEBP")[number % 2]
    return encoded(image, form), TAKEN


@_kind
def tiny(rng: random.Random, number: int) -> Made:
    size = (1 + number % 3, 1 + number % 2)
    return encoded(scene(rng, size=(40, 40)).resize(size), ("JPEG", "PNG", "WEBP")[number % 3]), TAKEN


# Broken


@_kind
def truncated(rng: random.Random, _: int) -> Made:
    photo = some_photo(rng)
    return photo[: rng.randrange(len(photo))], ANYTHING


@_kind
def cut_in_its_pixels(rng: random.Random, number: int) -> Made:
    photo = encoded(scene(rng, size=(120, 120)), ("JPEG", "PNG", "WEBP")[number % 3])
    return photo[: rng.randrange(len(photo) // 2, len(photo) * 9 // 10)], DAMAGED


@_kind
def flipped_bits(rng: random.Random, number: int) -> Made:
    photo = bytearray(some_photo(rng))
    for _ in range((1, 2, 8, 64)[number % 4]):
        photo[rng.randrange(len(photo))] ^= 1 << rng.randrange(8)
    return bytes(photo), ANYTHING


@_kind
def wrong_bytes_in_front(rng: random.Random, number: int) -> Made:
    photo = bytearray(some_photo(rng))
    for _ in range((1, 3, 10)[number % 3]):
        photo[rng.randrange(min(len(photo), 120))] = rng.choice((0, 0x7F, 0xFF, rng.randrange(256)))
    return bytes(photo), ANYTHING


@_kind
def two_halves(rng: random.Random, _: int) -> Made:
    one, other = some_photo(rng), some_photo(rng)
    return one[: rng.randrange(len(one))] + other[rng.randrange(len(other)) :], ANYTHING


@_kind
def repeated_piece(rng: random.Random, _: int) -> Made:
    photo = some_photo(rng)
    at, length = rng.randrange(len(photo)), rng.randrange(1, 400)
    return photo[:at] + photo[at : at + length] * rng.randrange(2, 50) + photo[at:], ANYTHING


@_kind
def zeroed_piece(rng: random.Random, _: int) -> Made:
    photo = bytearray(some_photo(rng))
    at = rng.randrange(len(photo))
    end = min(len(photo), at + rng.randrange(1, 2000))
    photo[at:end] = bytes(end - at)
    return bytes(photo), ANYTHING


@_kind
def wrong_lengths(rng: random.Random, number: int) -> Made:
    wrong = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32))[number % 5]
    if number % 3 == 0:
        webp = encoded(scene(rng), "WEBP")
        at = (4, 16)[number % 2]
        return webp[:at] + struct.pack("<I", wrong) + webp[at + 4 :], ANYTHING
    if number % 3 == 1:
        png = encoded(scene(rng), "PNG")
        at = png.index(b"IDAT") - 4
        return png[:at] + struct.pack(">I", wrong) + png[at + 4 :], ANYTHING
    jpeg = encoded(scene(rng))
    at = jpeg.index(b"\xff\xdb") + 2
    return jpeg[:at] + struct.pack(">H", wrong & 0xFFFF) + jpeg[at + 2 :], ANYTHING


@_kind
def only_its_first_bytes(rng: random.Random, number: int) -> Made:
    starts = (
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\0\0WEBPVP8 ",
        b"RIFF\x04\0\0\0WEBPVP8L",
        b"RIFF\0\0\0\0WEBPVP8X",
    )
    return starts[number % 5] + rng.randbytes(rng.randrange(500)), ANYTHING


@_kind
def wrong_pixels(rng: random.Random, number: int) -> Made:
    pixels = (zlib.compress(b"\xff" * 9000), rng.randbytes(900), b"", zlib.compress(bytes(10)))[number % 4]
    depth, colours = rng.choice(((8, 2), (16, 6), (1, 0), (2, 3), (7, 2), (8, 9)))
    return png_header(50, 60, depth, colours) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""), ANYTHING


@_kind
def no_pixels(rng: random.Random, number: int) -> Made:
    width, height = ((0, 0), (0, 60), (60, 0))[number % 3]
    if number % 4 == 0:
        photo = bytearray(encoded(scene(rng)))
        at = photo.index(b"\xff\xc0") + 5
        photo[at : at + 4] = struct.pack(">HH", height, width)
        return bytes(photo), DAMAGED | {"image_too_narrow"}
    if number % 4 == 1:
        return riff((b"VP8 ", b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40))), DAMAGED
    if number % 4 == 2:
        gif = b"GIF89a" + struct.pack("<HH", width, height) + bytes(20)
        return gif, DAMAGED | {"image_too_narrow"}, "photo.gif", "image/gif"
    return png_header(width, height) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""), DAMAGED


# Hostile


@_kind
def too_many_pixels(rng: random.Random, number: int) -> Made:
    side = (2001, 20_000, 60_000)[number % 3]
    if number % 4 == 0:
        return png_header(side, side) + chunk(b"IDAT", zlib.compress(bytes(1000))), TOO_LARGE
    if number % 4 == 1:
        photo = bytearray(encoded(scene(rng), progressive=True))
        at = photo.index(b"\xff\xc2") + 5
        photo[at : at + 4] = struct.pack(">HH", side, side)
        return bytes(photo), TOO_LARGE
    if number % 4 == 2:
        canvas = (min(side, 16_000) - 1).to_bytes(3, "little") * 2
        frame = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
        place = bytes(6) + bytes(6) + b"\x64\0\0\0"
        animation = (b"ANIM", bytes(6)), (b"ANMF", place + frame)
        return riff((b"VP8X", b"\x02\0\0\0" + canvas), *animation), TOO_LARGE
    return encoded(Image.new("1", (side % 9000 + 1001, 1001)), "PNG"), TOO_LARGE


@_kind
def too_many_pixels_elsewhere(_: random.Random, number: int) -> Made:
    if number % 2:
        gif = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + bytes(6)
        return (
            gif + b"," + struct.pack("<4H", 0, 0, 65535, 65535) + b"\0\x02\x02\x44\x01\0;",
            TOO_LARGE,
            "a.gif",
            "image/gif",
        )
    entries = ((256, 4, 100_000), (257, 4, 100_000), (258, 3, 8), (262, 3, 1), (273, 4, 200), (279, 4, 2**31))
    fields = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + fields + bytes(100)
    return tiff, NO_PHOTO, "a.tiff", "image/tiff"


@_kind
def frame_larger_than_its_canvas(rng: random.Random, number: int) -> Made:
    if number % 2:
        side = 6000
        place = bytes(6) + (side - 1).to_bytes(3, "little") * 2 + b"\x64\0\0\0"
        return riff(
            (b"VP8X", b"\x02\0\0\0" + bytes(6)), (b"ANIM", bytes(6)), (b"ANMF", place + large_frame(side))
        ), REFUSED
    image = scene(rng)
    photo = encoded(image, "PNG", save_all=True, append_images=[ImageOps.invert(image)])
    at = photo.index(b"fcTL")
    control = photo[at + 4 : at + 8] + struct.pack(">II", 60_000, 60_000) + photo[at + 16 : at + 30]
    return photo[: at - 4] + chunk(b"fcTL", control) + photo[at + 34 :], ANYTHING


@_kind
def strip(rng: random.Random, number: int) -> Made:
    size = ((1, 21), (30_000, 1), (1, 60_000), (2100, 100))[number % 4]
    return encoded(Image.new("RGB", size, (rng.randrange(256), 9, 9)), "PNG"), frozenset({"image_too_narrow"})


@_kind
def metadata_that_inflate(rng: random.Random, number: int) -> Made:
    inserted = (
        chunk(b"iCCP", b"icc\0\0" + inflating()),
        chunk(b"zTXt", b"Comment\0\0" + inflating()),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + inflating()),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000))) * 100,
    )[number % 4]
    return after_start(encoded(scene(rng), "PNG"), inserted), ANYTHING


@_kind
def pixels_that_inflate(rng: random.Random, number: int) -> Made:
    # Far more rows than the header says.
    rows = chunk(b"IDAT", inflating())
    return png_header(40 + number % 40, 40) + rows + chunk(b"IEND", b""), ANYTHING


@_kind
def exif_that_multiplies(rng: random.Random, number: int) -> Made:
    # Thousands of fields that all point to the same bytes.
    size, fields = 20_000, 3000
    entries = b"".join(struct.pack("<HHII", 0x8000 + field, 1, size, 8) for field in range(fields))
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", fields) + entries + bytes(4 + size)
    if number % 3 == 0:
        return after_start(encoded(scene(rng)), segment(0xE1, b"Exif\0\0" + tiff)), ANYTHING
    if number % 3 == 1:
        return after_start(encoded(scene(rng), "PNG"), chunk(b"eXIf", tiff)), ANYTHING
    return encoded(scene(rng), "WEBP", exif=tiff), ANYTHING


@_kind
def exif_in_a_circle(rng: random.Random, number: int) -> Made:
    pointer = (0x8769, 0x8825, 0xA005, 0x014A)[number % 4]
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", pointer, 4, 1, 8) + struct.pack("<I", 8)
    return after_start(encoded(scene(rng)), segment(0xE1, b"Exif\0\0" + tiff)), ANYTHING


@_kind
def pictures_in_a_jpeg(rng: random.Random, number: int) -> Made:
    # The index of a multi-picture file, full of lies.
    index = (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"")[number % 3] + rng.randbytes(rng.randrange(100))
    return after_start(encoded(scene(rng)), segment(0xE2, b"MPF\0" + index)), ANYTHING


@_kind
def too_many_scans(rng: random.Random, number: int) -> Made:
    photo = encoded(Image.new("L", (1000, 1000), rng.randrange(256)), progressive=True)
    scan = photo[photo.rindex(b"\xff\xda") : -2]
    if number % 2:
        return photo[:-2] + scan * rng.randrange(10) + photo[-2:], TAKEN
    return photo[:-2] + scan * rng.randrange(1000, 50_000) + photo[-2:], TOO_MANY_PARTS


@_kind
def too_many_parts(rng: random.Random, number: int) -> Made:
    part = (b"\xff\xef\0\x02", b"\xff\xfe\0\x02", b"\xff", b"\0", chunk(b"teSt", b""), chunk(b"IDAT", b""))[number % 6]
    photo = encoded(scene(rng), "PNG" if len(part) > 4 else "JPEG")
    if number % 6 == 3:
        part = b"\xff\xef\0\x02" + part * 9
    return after_start(photo, part * 80_000), TOO_MANY_PARTS


@_kind
def too_many_gif_blocks(rng: random.Random, number: int) -> Made:
    block = (b"!\xfe\x01x\0", b"!\xff\x01x\0", b"!\xf9\x04\0\0\0\0\0", b"\1")[number % 4]
    gif = encoded(scene(rng), "GIF")
    at = 13 + (3 << (gif[10] & 7) + 1)
    return gif[:at] + block * 80_000 + gif[at:], TOO_MANY_PARTS, "photo.gif", "image/gif"


@_kind
def many_webp_chunks(rng: random.Random, _: int) -> Made:
    chunks = ((b"teSt", b""),) * rng.randrange(1000, 100_000)
    pixels = encoded(scene(rng), "WEBP", lossless=True)
    return pixels[:4] + riff(*chunks)[4:12] + pixels[12:] + riff(*chunks)[12:], ANYTHING


# No photos


@_kind
def empty(rng: random.Random, number: int) -> Made:
    return (b"", b"\0", b"\n", bytes(rng.randrange(5000)))[number % 4], NO_PHOTO


@_kind
def text(rng: random.Random, number: int) -> Made:
    said = (
        "not a photo", "{}", json.dumps({"image": "x" * 500}), "' OR 1=1 --", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}",
        "file:///etc/passwd", "http://127.0.0.1:9/photo.jpg", "data:image/png;base64,AAAA",
    )[number % 9]  # fmt: skip
    return said.encode() * rng.randrange(1, 50), NO_PHOTO, "photo.txt", "text/plain"


@_kind
def noise(rng: random.Random, _: int) -> Made:
    return rng.randbytes(rng.randrange(1, 20_000)), NO_PHOTO


@_kind
def svg(_: random.Random, number: int) -> Made:
    inside = (
        '<script>fetch("http://127.0.0.1:9")</script>',
        '<image href="file:///etc/passwd"/>',
        '<rect width="1e9" height="1e9"/>',
    )[number % 3]
    bomb = '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>' if number % 2 else ""
    document = f'<?xml version="1.0"?>{bomb}<svg xmlns="http://www.w3.org/2000/svg">{inside}</svg>'
    return document.encode(), NO_PHOTO, "photo.svg", "image/svg+xml"


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
    """Many pixels of one colour in few bytes."""
    return heif(Image.new("RGB", (side, side), "teal"), form, quality=10)


@_kind
def heif_photo(rng: random.Random, number: int) -> Made:
    form = ("HEIC", "AVIF")[number % 2]
    mode = ("RGB", "RGBA", "L")[number % 3]
    return heif(scene(rng, mode), form), TAKEN, f"IMG_0001.{form}", f"image/{form.lower()}"


@_kind
def damaged_heif(rng: random.Random, number: int) -> Made:
    form = ("HEIC", "AVIF")[number % 2]
    photo = bytearray(heif(scene(rng), form))
    if number % 3 == 0:
        return bytes(photo[: rng.randrange(8, len(photo))]), ANYTHING
    reach = len(photo) if number % 3 == 1 else min(len(photo), 500)
    for _ in range((1, 4, 20)[number // 3 % 3]):
        photo[rng.randrange(reach)] = rng.choice((0, 0x7F, 0xFF, rng.randrange(256)))
    return bytes(photo), ANYTHING


@_kind
def heif_of_too_many_pixels(rng: random.Random, number: int) -> Made:
    form, side = ("HEIC", "AVIF")[number % 2], 3000
    if number % 4 < 2:
        return _flat(form, side), TOO_LARGE
    return _larger_than_it_says(_flat(form, side), form), REFUSED | TAKEN


@_kind
def heif_of_nothing(rng: random.Random, number: int) -> Made:
    brand = (b"heic", b"heix", b"mif1", b"avif", b"avis", b"msf1", b"crx ", b"qt  ", b"isom")[number % 9]
    box = struct.pack(">I", 24) + b"ftyp" + brand + b"\0\0\0\0" + b"mif1" + brand
    return box + struct.pack(">I", 300) + b"meta" + rng.randbytes(292), DAMAGED, "IMG_0001.HEIC", "image/heic"


@_kind
def other_format(rng: random.Random, number: int) -> Made:
    form = ("BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "EPS", "DDS", "SGI")[number % 10]
    return encoded(scene(rng), form), NO_PHOTO, f"photo.{form.lower()}", f"image/{form.lower()}"


@_kind
def animated_gif(rng: random.Random, _: int) -> Made:
    image = scene(rng)
    frames = [scene(rng, size=image.size) for _ in range(3)]
    return encoded(image, "GIF", save_all=True, append_images=frames), TAKEN, "photo.gif", "image/gif"


@_kind
def script_in_a_gif(rng: random.Random, _: int) -> Made:
    return b"GIF89a/*" + rng.randbytes(40) + b"*/=1;alert(1)//;", REFUSED, "photo.gif", "image/gif"


@_kind
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
