import io

import pytest
from PIL import Image

from snap2caption.images import ImageError, decode

pytestmark = pytest.mark.unit


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


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
        (encoded(Image.new("P", (4, 4)), "GIF"), "unreadable"),
        (encoded(Image.effect_noise((200, 200), 50).convert("RGB"))[:5000], "truncated"),
        (encoded(Image.new("RGB", (2000, 1000)), "PNG"), "too_large"),
    ],
)
def test_what_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, max_pixels=1_000_000)
    assert caught.value.reason == reason
