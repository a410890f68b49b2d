import io
import random

import numpy as np
import pytest
from PIL import Image
from spooled import group

from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from etl.transform.cleaning.orientation import TURNS, count_upright, set_upright, turned
from etl.transform.cleaning.picture import TURN, VIEW_BYTES, hash_picture
from etl.transform.splitting.grouping import MAX_DISTANCE

pytestmark = pytest.mark.unit

WAYS = [None, *Image.Transpose]
"""The eight ways in which a picture may lie, as EXIF numbers them and mirrors show them."""
SCENES = 30


def looks(image: Image.Image, quality: int = 90) -> np.ndarray:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    found = hash_picture(stream.getvalue())
    assert isinstance(found, bytes)
    return np.frombuffer(found, dtype=np.uint8)


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [render(sample_scene(random.Random(seed)), seed) for seed in range(SCENES)]


def test_copies_that_lie_in_any_way_are_one_group(scenes: list[Image.Image]) -> None:
    rng = random.Random(0)
    hashes = []
    for scene in scenes:
        for way in WAYS:
            copy = scene if way is None else scene.transpose(way)
            # As it is posted again: smaller, and not in the best quality.
            scale = rng.uniform(0.7, 1)
            hashes.append(
                looks(copy.resize((round(copy.width * scale), round(copy.height * scale))), rng.choice([50, 85]))
            )
    words = np.random.default_rng(0).integers(0, 256, (len(hashes), 32), dtype=np.uint8)
    groups = group(words, np.stack(hashes)).reshape(SCENES, len(WAYS))
    assert (groups == groups[:, :1]).mean() >= 0.99
    assert len(set(groups[:, 0].tolist())) == SCENES


def test_a_turned_hash_is_the_hash_of_the_turned_picture(scenes: list[Image.Image]) -> None:
    for scene in scenes:
        ways = [looks(scene if way is None else scene.transpose(way), 98)[:VIEW_BYTES] for way in WAYS]
        for turn in TURNS:
            mine = turned(looks(scene, 98)[np.newaxis, :TURN], turn)[0, :VIEW_BYTES]
            assert min(np.bitwise_count(mine ^ other).sum() for other in ways) <= MAX_DISTANCE // 2


def all_upright(hashes: np.ndarray, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    parts = [*set_upright(hashes, turns)]
    assert [len(chosen) for _, chosen in parts] == count_upright(turns).tolist()
    upright, pictures = zip(*parts, strict=True)
    return np.concatenate(upright), np.concatenate(pictures)


def test_every_way_of_lying_comes_to_the_same() -> None:
    views = np.random.default_rng(1).integers(0, 256, (8, 64), dtype=np.uint8)
    views[:] = views[0]
    lying = np.concatenate([turned(views[:1], turn) for turn in TURNS])
    # A picture after a turn is set upright by what undoes it.
    undone = [next(turn for turn in TURNS if (turned(lying[one : one + 1], turn) == views[0]).all()) for one in TURNS]
    upright, pictures = all_upright(lying, np.array(undone, dtype=np.uint8))
    assert sorted(pictures.tolist()) == list(TURNS)
    assert (upright == views[0]).all()
    upright, pictures = all_upright(views[:1], np.array([0b101000], dtype=np.uint8))
    assert len({row.tobytes() for row in upright}) == len(pictures) == 4


def test_a_picture_of_one_color_lies_in_one_way() -> None:
    assert {looks(Image.new("RGB", size, "navy"))[TURN] for size in ((100, 100), (200, 100), (333, 217))} == {0}
