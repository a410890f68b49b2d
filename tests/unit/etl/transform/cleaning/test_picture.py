import io
import random

import imagehash
import numpy as np
import pytest
from PIL import Image

from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from etl.transform.cleaning.picture import INSET, TURN, VIEW_BYTES, compute_spectrum, hash_picture, hash_pictures
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.images import ImageError, decode

pytestmark = pytest.mark.unit


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, height), 90).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("size", [(63, 64), (64, 321), (10_001, 2_001), (7_200, 7_000)])
def test_odd_dimensions_are_refused(size: tuple[int, int]) -> None:
    assert compute_spectrum(jpeg(*size)) is RejectionReason.ODD_DIMENSIONS


@pytest.mark.parametrize("size", [(64, 64), (64, 320), (320, 64), (10_000, 2_000)])
def test_what_is_kept_can_be_trained_on(size: tuple[int, int]) -> None:
    data = jpeg(*size)
    assert not isinstance(compute_spectrum(data), RejectionReason)
    assert decode(data).size == size


def test_what_training_refuses_for_its_size_is_not_kept() -> None:
    with pytest.raises(ImageError, match="7200x7000"):
        decode(jpeg(7_200, 7_000))


def test_the_hash_is_the_one_that_imagehash_finds() -> None:
    """But for rounding, which imagehash does twice, and a frequency that is near the median falls either way."""
    for seed in range(20):
        stream = io.BytesIO()
        render(sample_scene(random.Random(seed)), seed).save(stream, "JPEG", quality=85)
        (ours,) = hash_pictures([compute_spectrum(stream.getvalue())])
        with Image.open(stream) as image:
            image.draft("L", (64, 64))
            theirs = imagehash.phash(image, hash_size=16).hash
        assert (np.unpackbits(np.frombuffer(ours[:VIEW_BYTES], dtype=np.uint8)) != theirs.ravel()).sum() <= 6


def test_the_second_hash_is_that_of_the_inner_part() -> None:
    for seed in range(20):
        picture = render(sample_scene(random.Random(seed)), seed).resize((600, 600))
        cut = round(INSET * 600)
        whole, inner = (hash_of(each) for each in (picture, picture.crop((cut, cut, 600 - cut, 600 - cut))))
        assert (whole[256:] != inner[:256]).sum() < (whole[:256] != inner[:256]).sum() / 2


def hash_of(picture: Image.Image, kind: str = "JPEG") -> np.ndarray:
    """The bits of both views."""
    stream = io.BytesIO()
    picture.save(stream, kind, quality=95)
    found = hash_picture(stream.getvalue())
    assert isinstance(found, bytes)
    return np.unpackbits(np.frombuffer(found[:TURN], dtype=np.uint8))


def test_pictures_of_one_color_are_alike() -> None:
    hashes = hash_pictures([compute_spectrum(jpeg(width, 100)) for width in (100, 150, 300)])
    assert len(set(hashes)) == 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_is_of_its_format_whatever_its_name(kind: str) -> None:
    picture = render(sample_scene(random.Random(1)), 1)
    assert (hash_of(picture, kind) != hash_of(picture)).mean() < 0.1
    stream = io.BytesIO()
    picture.save(stream, kind)
    assert compute_spectrum(stream.getvalue()[:-200]) in {
        RejectionReason.TRUNCATED_IMAGE,
        RejectionReason.CORRUPT_IMAGE,
    }
