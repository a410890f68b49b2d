"""Photos that are made to cost much, or to be taken for something else."""

import random
import struct
import zlib

from PIL import Image, ImageOps

from hostile_photos.making import (
    ANYTHING,
    NO_PHOTO,
    REFUSED,
    TAKEN,
    TOO_LARGE,
    TOO_MANY_PARTS,
    Made,
    after_start,
    chunk,
    encoded,
    inflating,
    kind,
    large_frame,
    png_header,
    riff,
    scene,
    segment,
)


@kind
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


@kind
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


@kind
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


@kind
def strip(rng: random.Random, number: int) -> Made:
    size = ((1, 21), (30_000, 1), (1, 60_000), (2100, 100))[number % 4]
    return encoded(Image.new("RGB", size, (rng.randrange(256), 9, 9)), "PNG"), frozenset({"image_too_narrow"})


@kind
def metadata_that_inflate(rng: random.Random, number: int) -> Made:
    inserted = (
        chunk(b"iCCP", b"icc\0\0" + inflating()),
        chunk(b"zTXt", b"Comment\0\0" + inflating()),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + inflating()),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000))) * 100,
    )[number % 4]
    return after_start(encoded(scene(rng), "PNG"), inserted), ANYTHING


@kind
def pixels_that_inflate(rng: random.Random, number: int) -> Made:
    # Far more rows than the header says.
    rows = chunk(b"IDAT", inflating())
    return png_header(40 + number % 40, 40) + rows + chunk(b"IEND", b""), ANYTHING


@kind
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


@kind
def exif_in_a_circle(rng: random.Random, number: int) -> Made:
    pointer = (0x8769, 0x8825, 0xA005, 0x014A)[number % 4]
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + struct.pack("<HHII", pointer, 4, 1, 8) + struct.pack("<I", 8)
    return after_start(encoded(scene(rng)), segment(0xE1, b"Exif\0\0" + tiff)), ANYTHING


@kind
def pictures_in_a_jpeg(rng: random.Random, number: int) -> Made:
    # The index of a multi-picture file, full of lies.
    index = (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"")[number % 3] + rng.randbytes(rng.randrange(100))
    return after_start(encoded(scene(rng)), segment(0xE2, b"MPF\0" + index)), ANYTHING


@kind
def too_many_scans(rng: random.Random, number: int) -> Made:
    # The coefficients of all scans are held at once, so a progressive photo may have fewer pixels than others.
    photo = encoded(Image.new("L", (600, 600), rng.randrange(256)), progressive=True)
    scan = photo[photo.rindex(b"\xff\xda") : -2]
    if number % 2:
        return photo[:-2] + scan * rng.randrange(10) + photo[-2:], TAKEN
    return photo[:-2] + scan * rng.randrange(1000, 50_000) + photo[-2:], TOO_MANY_PARTS


@kind
def too_many_parts(rng: random.Random, number: int) -> Made:
    part = (b"\xff\xef\0\x02", b"\xff\xfe\0\x02", b"\xff", b"\0", chunk(b"teSt", b""), chunk(b"IDAT", b""))[number % 6]
    photo = encoded(scene(rng), "PNG" if len(part) > 4 else "JPEG")
    if number % 6 == 3:
        part = b"\xff\xef\0\x02" + part * 9
    return after_start(photo, part * 80_000), TOO_MANY_PARTS


@kind
def too_many_gif_blocks(rng: random.Random, number: int) -> Made:
    block = (b"!\xfe\x01x\0", b"!\xff\x01x\0", b"!\xf9\x04\0\0\0\0\0", b"\1")[number % 4]
    gif = encoded(scene(rng), "GIF")
    at = 13 + (3 << (gif[10] & 7) + 1)
    return gif[:at] + block * 80_000 + gif[at:], TOO_MANY_PARTS, "photo.gif", "image/gif"


@kind
def many_webp_chunks(rng: random.Random, _: int) -> Made:
    chunks = ((b"teSt", b""),) * rng.randrange(1000, 100_000)
    pixels = encoded(scene(rng), "WEBP", lossless=True)
    return pixels[:4] + riff(*chunks)[4:12] + pixels[12:] + riff(*chunks)[12:], ANYTHING
