"""Landmarks, one module per city. Each stands on its pen's origin and is about 300 units high."""

import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.landmarks import chicago, london, newyork, sanfrancisco, sydney
from demo.scenes.scene import Subject

_PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    **newyork.PAINTERS,
    **chicago.PAINTERS,
    **sanfrancisco.PAINTERS,
    **london.PAINTERS,
    **sydney.PAINTERS,
}


def draw_landmark(pen: Pen, subject: Subject, rng: random.Random) -> None:
    """Draw *subject*, one of the landmarks."""
    _PAINTERS[subject](pen, rng)
