"""Pretraining pictures of the demo base: rendered once, kept small, and labeled with what they show."""

import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from demo.base.architecture import IMAGE_SIZE
from demo.corpus.describe import describe
from demo.scenes.render import render
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather, sample_scene

ATTRIBUTES: dict[str, list[str]] = {
    "city": [value.value for value in City],
    "subject": [value.value for value in Subject],
    "time": [value.value for value in Time],
    "weather": [value.value for value in Weather],
    "mood": [value.value for value in Mood],
}
"""The fields of a scene and their values, in the order of their class numbers."""

# Scene seeds of the pool start here, far from those of any corpus, so that no test picture is ever a training picture.
FIRST_SEED = 1 << 40


@dataclass(frozen=True, slots=True)
class PicturePool:
    """Pictures (n, 112, 112, 3) in 8 bits, their scenes, and class numbers (n,) by attribute."""

    pixels: npt.NDArray[np.uint8]
    scenes: list[Scene]
    classes: dict[str, npt.NDArray[np.int64]]

    def description(self, index: int, rng: random.Random) -> str:
        """Return one wording of what is to be seen in picture *index*."""
        return describe(self.scenes[index], rng)


def draw_pool(pictures: int, workers: int) -> PicturePool:
    """Render *pictures* scenes over *workers* processes; picture *i* is always the same."""
    with ProcessPoolExecutor(workers) as executor:
        drawn = list(executor.map(_draw, range(pictures), chunksize=64))
    scenes = [scene for scene, _ in drawn]
    classes = {
        name: np.array([values.index(getattr(scene, name).value) for scene in scenes], dtype=np.int64)
        for name, values in ATTRIBUTES.items()
    }
    return PicturePool(np.stack([pixels for _, pixels in drawn]), scenes, classes)


def _draw(index: int) -> tuple[Scene, npt.NDArray[np.uint8]]:
    seed = FIRST_SEED + index
    scene = sample_scene(random.Random(seed))
    picture = render(scene, seed)
    return scene, np.asarray(picture.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC))
