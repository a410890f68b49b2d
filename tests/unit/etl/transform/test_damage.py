"""Scaled gray decoding: it finds the same damage as a full decoding."""

import io
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from PIL import Image, UnidentifiedImageError

from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from etl.transform.cleaning.picture import compute_spectrum
from etl.transform.rejection_reasons import RejectionReason

pytestmark = pytest.mark.unit

KINDS: tuple[dict[str, object], ...] = (
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"optimize": True},
    {"restart_marker_blocks": 8},
)


def encoded() -> Iterator[bytes]:
    picture = render(sample_scene(random.Random(0)), 0)
    for mode in ("RGB", "L", "CMYK"):
        for how in KINDS:
            stream = io.BytesIO()
            picture.convert(mode).save(stream, "JPEG", quality=85, **how)
            yield stream.getvalue()


def damage(data: bytes, rng: random.Random) -> bytes:
    at, spoiled = rng.randrange(1, len(data)), bytearray(data)
    match rng.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + rng.randrange(1, 500) :]
        case 2:
            spoiled[at : at + 1000] = bytes(len(spoiled[at : at + 1000]))
        case _:
            for _ in range(rng.choice((1, 3, 30))):
                spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
    return bytes(spoiled)


def decoded_in_full(data: bytes) -> RejectionReason | None:
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.size != (300, 300):
                return RejectionReason.ODD_DIMENSIONS
            try:
                image.load()
            except (OSError, SyntaxError, ValueError):
                return RejectionReason.TRUNCATED_IMAGE
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return RejectionReason.CORRUPT_IMAGE
    return None


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file:UserWarning")
def test_no_damage_is_found_by_a_full_decoding_alone() -> None:
    rng = random.Random(0)
    found: Counter[RejectionReason | None] = Counter()
    for data in encoded():
        assert not isinstance(compute_spectrum(data), RejectionReason)
        for _ in range(60):
            spoiled = damage(data, rng)
            reason, ours = decoded_in_full(spoiled), compute_spectrum(spoiled)
            found[reason] += 1
            if reason is not RejectionReason.ODD_DIMENSIONS:  # a spoiled size may pass for one that we take
                assert ours is reason if reason else not isinstance(ours, RejectionReason)
    assert min(found[None], found[RejectionReason.TRUNCATED_IMAGE], found[RejectionReason.CORRUPT_IMAGE]) >= 10
