"""Color grading by mood, the last step of a picture."""

import random

from PIL import Image

from demo.scenes.scene import Mood

_GAINS = {
    Mood.CALM: (0.97, 1.0, 1.03),
    Mood.LIVELY: (1.03, 1.01, 0.98),
    Mood.ROMANTIC: (1.05, 0.97, 1.02),
    Mood.PLAYFUL: (1.03, 1.03, 0.97),
}
_CONTRAST = {Mood.CALM: 0.95, Mood.LIVELY: 1.08, Mood.ROMANTIC: 0.98, Mood.PLAYFUL: 1.04}


def grade(image: Image.Image, mood: Mood, rng: random.Random) -> Image.Image:
    """Return *image* with the contrast and tint of *mood*, and a little of the photographer's own exposure."""
    exposure, contrast = rng.uniform(0.95, 1.05), _CONTRAST[mood] * rng.uniform(0.97, 1.03)
    table: list[int] = []
    for gain in _GAINS[mood]:
        slope = gain * exposure * contrast
        offset = 118 * (1 - contrast)
        table.extend([max(0, min(255, int(value * slope + offset))) for value in range(256)])
    return image.point(table)
