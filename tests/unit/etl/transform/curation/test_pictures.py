import io

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from etl.transform.curation.pictures import (
    check_blur,
    check_faces,
    check_nsfw,
    check_size,
    gray,
    measure_sharpness,
    resize,
)
from etl.transform.curation.settings import BlurSettings, FaceSettings, NsfwSettings, ResizeSettings, SizeSettings

pytestmark = pytest.mark.unit


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    """A photograph of one person's face, public domain (NASA)."""
    return Image.fromarray(data.astronaut())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("size", "reason"), [((200, 300), None), ((300, 199), "low_resolution"), ((300, 601), "aspect_ratio")]
)
def test_size_is_read_from_the_header(kind: str, size: tuple[int, int], reason: str | None) -> None:
    step = check_size(SizeSettings(min_side=200, max_aspect=2))
    photo = encoded(Image.new("RGB", size), kind)
    assert step(photo, {}) == reason
    if kind == "PNG":
        assert step(photo[:100], {}) == reason  # nothing is decoded


def test_what_has_no_size_is_left_to_decoding() -> None:
    assert check_size(SizeSettings())(b"no picture", {}) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_blur_is_rejected_at_any_size(portrait: Image.Image, kind: str) -> None:
    step = check_blur(BlurSettings(min_variance=50))
    for side in (300, 512, 1024):
        sharp = portrait.resize((side, side))
        assert step(encoded(sharp, kind), {}) is None
        assert step(encoded(sharp.filter(ImageFilter.GaussianBlur(side / 60)), kind), {}) == "blur"


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    from scipy.ndimage import laplace

    picture = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    expected = laplace(picture.astype(np.float64))[1:-1, 1:-1].var()
    assert measure_sharpness(picture) == pytest.approx(expected)


def test_gray_pictures_are_reduced_by_powers_of_two(portrait: Image.Image) -> None:
    for kind in ("JPEG", "PNG"):
        assert gray(encoded(portrait.resize((1200, 1100)), kind), 256).shape == (275, 300)


def test_faces_are_counted(portrait: Image.Image) -> None:
    measures: dict[str, float] = {}
    assert check_faces(FaceSettings(min_faces=1, max_faces=1))(encoded(portrait), measures) is None
    assert measures == {"faces": 1}
    assert check_faces(FaceSettings(max_faces=0))(encoded(portrait), {}) == "faces"
    assert check_faces(FaceSettings(min_faces=1))(encoded(Image.new("RGB", (300, 300))), {}) == "faces"


def test_safety_is_judged_by_the_model_in_the_package(portrait: Image.Image) -> None:
    measures: dict[str, float] = {}
    assert check_nsfw(NsfwSettings(max_score=0.8))(encoded(portrait), measures) is None
    assert 0 < measures["nsfw"] < 0.5
    assert check_nsfw(NsfwSettings(max_score=0))(encoded(portrait), {}) == "nsfw"


def test_resized_photos_are_upright_jpegs_without_metadata(portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    photo = resize(encoded(portrait.resize((800, 400)), exif=exif), ResizeSettings(max_side=200))
    with Image.open(io.BytesIO(photo)) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (100, 200), {})
    small = resize(encoded(Image.new("RGBA", (90, 80)), "PNG"), ResizeSettings(max_side=200))
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size) == ("JPEG", (90, 80))
