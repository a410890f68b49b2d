"""Rendering of a scene: the place and order of everything in it."""

import random

from PIL import Image

from demo.scenes.canvas import Canvas, Pen
from demo.scenes.grade import grade
from demo.scenes.ground import Ground, draw_ground, ground_of
from demo.scenes.landmarks import draw_landmark
from demo.scenes.light import light_of
from demo.scenes.people import draw_people
from demo.scenes.scene import COMMON, City, Scene, Subject
from demo.scenes.signature import draw_signature
from demo.scenes.sky import draw_sky
from demo.scenes.skyline import draw_skyline
from demo.scenes.subjects import draw_common
from demo.scenes.weather import draw_weather

_SCALES = {
    Subject.EMPIRE_STATE: 0.84,
    Subject.WILLIS_TOWER: 0.86,
    Subject.BIG_BEN: 0.80,
    Subject.CLOUD_GATE: 1.25,
    Subject.CABLE_CAR: 1.25,
    Subject.BONDI_SURF: 0.9,
    Subject.PAINTED_LADIES: 1.05,
    Subject.OPERA_HOUSE: 0.95,
}
_ON_THE_GROUND = {
    Subject.CLOUD_GATE,
    Subject.CABLE_CAR,
    Subject.PHONE_BOX,
    Subject.PAINTED_LADIES,
    Subject.EMPIRE_STATE,
    Subject.WILLIS_TOWER,
}


def render(scene: Scene, seed: int) -> Image.Image:
    """Draw *scene*.

    Args:
        scene: what is to be seen.
        seed: picks one of endlessly many compositions of it.

    Returns:
        A 300x300 RGB picture: the same one for the same arguments.
    """
    rng = random.Random(f"{scene.city}/{scene.subject}/{scene.time}/{scene.weather}/{scene.mood}/{seed}")
    light = light_of(scene.time, scene.weather)
    canvas = Canvas(light)
    common = scene.subject in COMMON
    horizon = rng.uniform(300, 360)
    wet = ground_of(scene.subject) in {Ground.WATER, Ground.BEACH}
    shore = horizon + (rng.uniform(70, 100) if wet else rng.uniform(24, 40))
    side = rng.choice((-1, 1))
    draw_sky(canvas, scene, horizon, rng)
    draw_skyline(canvas, scene.city, horizon + 4, rng.uniform(0.95, 1.25) * (1.0 if common else 0.78), rng)
    draw_ground(canvas, scene, horizon, shore, rng)
    if common:
        draw_signature(canvas, scene.city, shore, side, rng)
        draw_people(canvas, scene, rng.uniform(520, 560), rng)
        canvas.light = light.floodlit()
        draw_common(_foreground(canvas, -side, rng), scene.subject, rng)
    else:
        canvas.light = light.floodlit()
        draw_landmark(_middle(canvas, scene.subject, horizon, shore, -side, rng), scene.subject, rng)
        canvas.light = light
        # Lower than where no landmark stands behind it; a train crosses the whole picture, and goes lower still.
        drop = 38 if scene.city is City.CHICAGO else 0
        draw_signature(canvas, scene.city, shore + drop + rng.uniform(50, 66), side, rng)
        draw_people(canvas, scene, rng.uniform(560, 592), rng)
    draw_weather(canvas, scene, horizon, rng)
    return grade(canvas.image.reduce(2), scene.mood, rng)


def _foreground(canvas: Canvas, side: int, rng: random.Random) -> Pen:
    """Return the pen of a common subject: large, low, opposite the city's signature."""
    return canvas.pen(
        300 + side * rng.uniform(40, 150), rng.uniform(565, 588), rng.uniform(1.05, 1.35), flip=rng.random() < 0.5
    )


def _middle(canvas: Canvas, subject: Subject, horizon: float, shore: float, side: int, rng: random.Random) -> Pen:
    """Return the pen of a landmark."""
    scale = _SCALES.get(subject, 0.95) * rng.uniform(0.86, 1.14)
    base = shore + rng.uniform(10, 26) if subject in _ON_THE_GROUND else rng.uniform(horizon + 22, shore - 14)
    return canvas.pen(300 + side * rng.uniform(10, 130), base, scale, flip=rng.random() < 0.5)
