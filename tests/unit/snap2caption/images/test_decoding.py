import random
import struct
import zlib

import pytest
from hostile_photos import UPRIGHT, encoded, heif, oriented
from PIL import Image

from snap2caption.images import ImageError, decode, dimensions, isolation
from snap2caption.images.parts import MAX_PARTS, MAX_SCANS

pytestmark = pytest.mark.unit


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels, and holds hardly any."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste("red", (0, 0, 20, 20))
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(undo) if undo is not None else upright
    image = decode(encoded(stored, exif=exif, quality=95))
    assert image.size == (60, 40)
    red, green, _ = image.getpixel((8, 8))
    assert red > 200
    assert green < 60
    assert not image.getexif()
    assert image.info == {}


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("CMYK", "JPEG"),
        ("L", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("1", "PNG"),
        ("I;16", "PNG"),
        ("RGB", "WEBP"),
    ],
)
def test_every_mode_becomes_rgb(mode: str, kind: str) -> None:
    image = decode(encoded(Image.new(mode, (33, 21)), kind))
    assert (image.mode, image.size) == ("RGB", (33, 21))


def test_sixteen_bits_keep_their_brightness() -> None:
    image = Image.new("I;16", (4, 4), 0xFFFF)
    assert decode(encoded(image, "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_what_shines_through_is_white() -> None:
    assert decode(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "PNG")).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unreadable"),
        (b"GIF89a", "unreadable"),
        (encoded(Image.new("P", (4, 4)), "TIFF"), "unreadable"),
        (encoded(Image.effect_noise((200, 200), 50).convert("RGB"))[:5000], "truncated"),
        (encoded(Image.new("RGB", (2000, 1000)), "PNG"), "too_large"),
        # A few hundred bytes that an image processor would have made gigabytes of.
        (encoded(Image.new("RGB", (1, 60_000)), "PNG"), "too_narrow"),
        (encoded(Image.new("RGB", (2_100, 100))), "too_narrow"),
        (png_header(60_000, 60_000), "too_large"),
        (png_header(0, 0), "unreadable"),
    ],
)
def test_what_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, max_pixels=1_000_000)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("size", "options"),
    [((8160, 6144), {}), ((16382, 3628), {}), ((12000, 9000), {}), ((8160, 6144), {"progressive": True})],
)
def test_a_jpeg_counts_what_is_decoded_of_it(size: tuple[int, int], options: dict[str, object]) -> None:
    photo = encoded(Image.linear_gradient("L").resize(size), **options)
    assert max(decode(photo, max_side=1344).size) == 1344
    with pytest.raises(
        ImageError, match=rf"The photo \(JPEG\) is {size[0]}x{size[1]} pixels; send one of at most 50 megapixels\."
    ):
        decode(photo)


def test_a_jpeg_of_several_scans_counts_what_it_holds() -> None:
    # Held are a pixel's three components at two bytes each, of the 16 that count as a decoded pixel.
    photo = Image.linear_gradient("L").resize((2000, 1500)).convert("RGB")
    for progressive, allowed in ((False, 750_000), (True, 1_350_000)):
        data = encoded(photo, progressive=progressive)
        assert decode(data, max_side=400, max_pixels=allowed).size == (400, 300)
        with pytest.raises(ImageError) as caught:
            decode(data, max_side=400, max_pixels=allowed - 100_000)
        assert caught.value.reason == "too_large"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            encoded(Image.new("RGB", (9, 9)), "TIFF"),
            "Photo 2 of 3 is a TIFF or raw file; send it as JPEG, PNG, WebP, GIF, HEIC or AVIF.",
        ),
        (
            b"\0\0\0\x18ftypqt  " + bytes(99),
            "Photo 2 of 3 is a video file; send it as JPEG, PNG, WebP, GIF, HEIC or AVIF.",
        ),
        (b"<!DOCTYPE html><html>", "Photo 2 of 3 is a web page file; send it as JPEG, PNG, WebP, GIF, HEIC or AVIF."),
        (b"hello", "Photo 2 of 3 is of no format that is known; send it as JPEG, PNG, WebP, GIF, HEIC or AVIF."),
        (encoded(Image.new("RGB", (99, 99)), "PNG")[:60], "Photo 2 of 3 (PNG) is damaged or cut off; send it again."),
        (
            encoded(Image.new("RGB", (99, 2)), "GIF"),
            "Photo 2 of 3 (GIF) is a strip of 99x2 pixels; crop it, and send it again.",
        ),
        (b"\0\0\0\x18ftypheic" + bytes(99), "Photo 2 of 3 (HEIC) is damaged at its start; send it again."),
    ],
)
def test_an_error_names_the_photo_its_format_and_what_to_do(data: bytes, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, name="Photo 2 of 3")
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    first, second = Image.new("RGB", (60, 40), (200, 30, 30)), Image.new("RGB", (60, 40), (30, 30, 200))
    red, _, blue = decode(encoded(first, kind, save_all=True, append_images=[second])).getpixel((30, 20))
    assert red > 180
    assert blue < 60


@pytest.mark.parametrize("form", ["HEIC", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_heic_and_avif_are_turned_upright_once(form: str, orientation: int) -> None:
    upright = Image.new("RGB", (96, 64), "white")
    upright.paste("red", (0, 0, 32, 32))
    turn = UPRIGHT[orientation - 1]
    photo = heif(upright if turn is None else upright.transpose(turn), form, exif=oriented(orientation).tobytes())
    image = decode(photo)
    assert image.size == (96, 64)
    red, green, _ = image.getpixel((12, 12))
    assert red > 200
    assert green < 80
    assert image.info == {}


@pytest.mark.parametrize("form", ["HEIC", "AVIF"])
def test_heic_and_avif_are_kept_to_the_limits(form: str) -> None:
    photo = heif(Image.linear_gradient("L").resize((1600, 1200)).convert("RGB"), form)
    assert decode(photo, max_side=400).size == (400, 300)
    with pytest.raises(
        ImageError, match=rf"The photo \({form}\) is 1600x1200 pixels; send one of at most 1 megapixels\."
    ):
        decode(photo, max_pixels=1_000_000, max_side=400)
    with pytest.raises(ImageError) as caught:
        decode(photo[: len(photo) * 2 // 3])
    assert caught.value.reason in {"truncated", "unreadable"}


def test_a_decoder_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = heif(Image.new("RGB", (3000, 2000)), "HEIC")
    assert decode(photo).size == (3000, 2000)
    monkeypatch.setattr(isolation, "_MEMORY", 100 * 2**20)
    monkeypatch.setattr(isolation, "_PIXEL", 0)
    with pytest.raises(ImageError, match="takes too much to decode; save it as JPEG, and send that") as caught:
        decode(photo)
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_large_photos_shrink_if_asked(kind: str) -> None:
    image = Image.linear_gradient("L").resize((1600, 1000)).convert("RGB")
    shrunk = decode(encoded(image, kind), max_side=400)
    assert shrunk.size == (400, 250)
    assert decode(encoded(image, kind)).size == (1600, 1000)
    assert abs(shrunk.getpixel((200, 125))[0] - image.getpixel((800, 500))[0]) < 6


def test_a_cut_off_photo_is_found_while_it_is_shrunk() -> None:
    data = encoded(Image.effect_noise((1600, 1200), 50).convert("RGB"))
    with pytest.raises(ImageError) as caught:
        decode(data[: len(data) * 2 // 3], max_side=200)
    assert caught.value.reason == "truncated"


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Pillow's, about what it skips
def test_whatever_is_damaged_it_is_a_photo_or_a_refusal() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    noise = Image.effect_noise((60, 40), 60).convert("RGB")
    photos = [
        encoded(noise, "JPEG", exif=exif),
        encoded(noise, "JPEG", progressive=True),
        encoded(noise.convert("CMYK"), "JPEG"),
        encoded(noise, "PNG", exif=exif),
        encoded(noise.quantize(16), "PNG", transparency=3),
        encoded(noise, "PNG", save_all=True, append_images=[noise.rotate(9)]),
        encoded(noise, "WEBP", exif=exif),
        encoded(noise, "WEBP", save_all=True, append_images=[noise.rotate(9)]),
    ]
    rng = random.Random(1)
    outcomes = set()
    for _ in range(2000):
        data = bytearray(rng.choice(photos))
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        else:
            for _ in range(rng.choice((1, 2, 5, 20))):
                data[rng.randrange(min(len(data), 300))] = rng.choice((0, 255, rng.randrange(256)))
        try:
            decode(bytes(data), max_pixels=1_000_000)
            outcomes.add("decoded")
        except ImageError as error:
            outcomes.add(error.reason)
    assert outcomes >= {"decoded", "truncated", "unreadable"}


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_shrinking_first_changes_no_color(kind: str, mode: str) -> None:
    # Half of it shines through, and is white: shrunk before it is laid on white, or after.
    image = Image.new("RGBA", (400, 300), (200, 60, 60, 255))
    image.paste((0, 0, 0, 0), (200, 0, 400, 300))
    data = encoded(image.convert(mode), kind if kind == "PNG" or mode.startswith("RGB") else "PNG")
    small, whole = decode(data, max_side=100), decode(data).resize((100, 75))
    assert small.size == (100, 75)
    for place in ((20, 40), (80, 40)):
        difference = [abs(one - other) for one, other in zip(small.getpixel(place), whole.getpixel(place), strict=True)]
        assert max(difference) <= (60 if mode == "1" else 4)


@pytest.mark.parametrize("part", [b"\xff\xef\0\x02", b"\xff\xfe\0\x02", b"\xff", b"\xff\xef\0\x02" + bytes(9)])
def test_a_jpeg_of_nothing_but_parts_is_refused(part: bytes) -> None:
    photo = encoded(Image.new("RGB", (20, 20)))
    assert decode(photo[:2] + part * 100 + photo[2:]).size == (20, 20)
    for read in (decode, dimensions):
        with pytest.raises(ImageError) as caught:
            read(photo[:2] + part * (MAX_PARTS + 1) + photo[2:])
        assert caught.value.reason == "too_many_parts"


@pytest.mark.parametrize("block", [b"!\xfe\x01x\0", b"!\xf9\x04\0\0\0\0\0", b"\1"])
def test_a_gif_of_nothing_but_parts_is_refused(block: bytes) -> None:
    photo = encoded(Image.new("RGB", (20, 20)), "GIF")
    at = 13 + (3 << (photo[10] & 7) + 1)
    assert decode(photo[:at] + block * 100 + photo[at:]).size == (20, 20)
    with pytest.raises(ImageError) as caught:
        decode(photo[:at] + block * (MAX_PARTS + 1) + photo[at:])
    assert caught.value.reason == "too_many_parts"


def test_a_png_of_nothing_but_parts_is_refused() -> None:
    photo, chunk = encoded(Image.new("RGB", (20, 20)), "PNG"), b"\0\0\0\0teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    assert decode(photo[:33] + chunk * 100 + photo[33:]).size == (20, 20)
    with pytest.raises(ImageError) as caught:
        decode(photo[:33] + chunk * MAX_PARTS + photo[33:])
    assert caught.value.reason == "too_many_parts"


def test_a_jpeg_of_too_many_scans_is_refused() -> None:
    photo = encoded(Image.new("L", (40, 40), 90), progressive=True)
    scan = photo[photo.rindex(b"\xff\xda") : -2]
    assert decode(photo[:-2] + scan * 20 + photo[-2:]).size == (40, 40)
    with pytest.raises(ImageError) as caught:
        decode(photo[:-2] + scan * (MAX_SCANS + 1) + photo[-2:])
    assert caught.value.reason == "too_many_parts"
    # As phones hang a film behind a photo.
    assert decode(photo + b"\xff\xda" * 10_000).size == (40, 40)


def test_a_panorama_is_taken() -> None:
    assert decode(encoded(Image.new("RGB", (2_000, 100)))).size == (2_000, 100)


def test_a_photo_that_is_shrunk_is_turned_upright_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(Image.new("RGB", (3000, 2000)), exif=exif), max_side=600).size == (400, 600)


def test_the_header_tells_a_photos_size_and_no_damage() -> None:
    assert dimensions(encoded(Image.new("RGB", (30, 20)), "PNG")) == (30, 20)
    for damaged in (b"", b"no photo", encoded(Image.new("RGB", (30, 20)), "JPEG")[:20]):
        with pytest.raises(ImageError) as caught:
            dimensions(damaged)
        assert caught.value.reason == "unreadable"
