import numpy as np
import pytest
from photo_metadata import MARK, telling_photos
from PIL import Image

from serving.feedback.photo import encode_photo

pytestmark = pytest.mark.unit


def test_no_metadata_of_any_kind_is_kept() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    for kind, photo in telling_photos(Image.fromarray(noise).resize((96, 72))):
        assert MARK not in encode_photo(photo, 1_000_000), kind
