import io

import pytest
from PIL import Image

from etl.transform.check import hash_image
from etl.transform.reasons import Reason
from snap2caption.images import ImageError, decode

pytestmark = pytest.mark.unit


def jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, height), 90).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize("size", [(63, 64), (64, 321), (10_001, 2_001), (7_200, 7_000)])
def test_odd_dimensions_are_refused(size: tuple[int, int]) -> None:
    assert hash_image(jpeg(*size)) is Reason.ODD_DIMENSIONS


@pytest.mark.parametrize("size", [(64, 64), (64, 320), (320, 64), (10_000, 2_000)])
def test_what_is_kept_can_be_trained_on(size: tuple[int, int]) -> None:
    data = jpeg(*size)
    assert isinstance(hash_image(data), bytes)
    assert decode(data).size == size


def test_what_training_refuses_for_its_size_is_not_kept() -> None:
    with pytest.raises(ImageError, match="7200x7000"):
        decode(jpeg(7_200, 7_000))
