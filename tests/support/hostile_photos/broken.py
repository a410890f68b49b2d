"""Photos that are broken."""

import random
import struct
import zlib

from hostile_photos.making import ANYTHING, DAMAGED, Made, chunk, encoded, kind, png_header, riff, scene, some_photo


@kind
def truncated(rng: random.Random, _: int) -> Made:
    photo = some_photo(rng)
    return photo[: rng.randrange(len(photo))], ANYTHING


@kind
def cut_in_its_pixels(rng: random.Random, number: int) -> Made:
    photo = encoded(scene(rng, size=(120, 120)), ("JPEG", "PNG", "WEBP")[number % 3])
    return photo[: rng.randrange(len(photo) // 2, len(photo) * 9 // 10)], DAMAGED


@kind
def flipped_bits(rng: random.Random, number: int) -> Made:
    photo = bytearray(some_photo(rng))
    for _ in range((1, 2, 8, 64)[number % 4]):
        photo[rng.randrange(len(photo))] ^= 1 << rng.randrange(8)
    return bytes(photo), ANYTHING


@kind
def wrong_bytes_in_front(rng: random.Random, number: int) -> Made:
    photo = bytearray(some_photo(rng))
    for _ in range((1, 3, 10)[number % 3]):
        photo[rng.randrange(min(len(photo), 120))] = rng.choice((0, 0x7F, 0xFF, rng.randrange(256)))
    return bytes(photo), ANYTHING


@kind
def two_halves(rng: random.Random, _: int) -> Made:
    one, other = some_photo(rng), some_photo(rng)
    return one[: rng.randrange(len(one))] + other[rng.randrange(len(other)) :], ANYTHING


@kind
def repeated_piece(rng: random.Random, _: int) -> Made:
    photo = some_photo(rng)
    at, length = rng.randrange(len(photo)), rng.randrange(1, 400)
    return photo[:at] + photo[at : at + length] * rng.randrange(2, 50) + photo[at:], ANYTHING


@kind
def zeroed_piece(rng: random.Random, _: int) -> Made:
    photo = bytearray(some_photo(rng))
    at = rng.randrange(len(photo))
    end = min(len(photo), at + rng.randrange(1, 2000))
    photo[at:end] = bytes(end - at)
    return bytes(photo), ANYTHING


@kind
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


@kind
def only_its_first_bytes(rng: random.Random, number: int) -> Made:
    starts = (
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\xff\xff\0\0WEBPVP8 ",
        b"RIFF\x04\0\0\0WEBPVP8L",
        b"RIFF\0\0\0\0WEBPVP8X",
    )
    return starts[number % 5] + rng.randbytes(rng.randrange(500)), ANYTHING


@kind
def wrong_pixels(rng: random.Random, number: int) -> Made:
    pixels = (zlib.compress(b"\xff" * 9000), rng.randbytes(900), b"", zlib.compress(bytes(10)))[number % 4]
    depth, colors = rng.choice(((8, 2), (16, 6), (1, 0), (2, 3), (7, 2), (8, 9)))
    return png_header(50, 60, depth, colors) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""), ANYTHING


@kind
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
