"""Ground of a scene: water, then a promenade, a lawn, sand or a street."""

import random
from enum import Enum, auto

from demo.scenes.canvas import SIZE, Canvas
from demo.scenes.light import Color, mix
from demo.scenes.scene import Scene, Subject, Weather


class Ground(Enum):
    """The kinds of ground."""

    STREET = auto()
    WATER = auto()
    LAWN = auto()
    BEACH = auto()
    PLAZA = auto()


_GROUNDS = {
    Subject.STATUE_OF_LIBERTY: Ground.WATER,
    Subject.BROOKLYN_BRIDGE: Ground.WATER,
    Subject.NAVY_PIER: Ground.WATER,
    Subject.GOLDEN_GATE: Ground.WATER,
    Subject.LONDON_EYE: Ground.WATER,
    Subject.BIG_BEN: Ground.WATER,
    Subject.OPERA_HOUSE: Ground.WATER,
    Subject.HARBOUR_BRIDGE: Ground.WATER,
    Subject.PAINTED_LADIES: Ground.LAWN,
    Subject.BONDI_SURF: Ground.BEACH,
    Subject.CLOUD_GATE: Ground.PLAZA,
}
_COLORS: dict[Ground, Color] = {
    Ground.STREET: (104, 104, 110),
    Ground.WATER: (120, 116, 112),
    Ground.LAWN: (98, 158, 74),
    Ground.BEACH: (232, 208, 156),
    Ground.PLAZA: (186, 178, 168),
}
SNOW: Color = (244, 247, 252)


def ground_of(subject: Subject) -> Ground:
    """Return what *subject* stands on."""
    return _GROUNDS.get(subject, Ground.STREET)


def draw_ground(canvas: Canvas, scene: Scene, horizon: float, shore: float, rng: random.Random) -> None:
    """Draw the ground below *horizon*; from there to *shore* (canvas y) it is water or far ground, and from *shore*
    on near ground.
    """
    kind = ground_of(scene.subject)
    snowy, rainy = scene.weather is Weather.SNOW, scene.weather is Weather.RAIN
    near = SNOW if snowy else _COLORS[kind]
    if rainy:
        near = mix(near, (40, 46, 60), 0.35)
    light, draw = canvas.light, canvas.draw
    if kind in {Ground.WATER, Ground.BEACH}:
        _water(canvas, horizon, shore, rng)
    else:
        draw.rectangle((0, horizon, SIZE, shore), fill=light.shade(mix(near, (128, 128, 124), 0.3), 0.35))
    draw.rectangle((0, shore, SIZE, SIZE), fill=light.shade(near))
    if kind is Ground.WATER:
        draw.rectangle((0, shore - 6, SIZE, shore + 5), fill=light.shade(mix(near, (70, 66, 62), 0.5)))
    elif kind is Ground.STREET:
        _street(canvas, shore, near, rng)
    elif kind is Ground.PLAZA:
        _tiles(canvas, shore, near, rng)
    else:
        _speckle(canvas, shore, near, rng)
    if rainy:
        _puddles(canvas, shore, rng)


def _water(canvas: Canvas, horizon: float, shore: float, rng: random.Random) -> None:
    light = canvas.light
    # Water mirrors the sky, so that it tells the time as well.
    color = mix(light.shade((46, 118, 158)), light.sky[1], 0.42)
    canvas.draw.rectangle((0, horizon, SIZE, shore), fill=color)
    bright = mix(color, light.horizon, 0.55)
    for _ in range(36):
        y, x, w = rng.uniform(horizon + 3, shore - 3), rng.uniform(-40, SIZE), rng.uniform(14, 70)
        canvas.draw.line((x, y, x + w, y), fill=bright, width=2)


def _street(canvas: Canvas, shore: float, near: Color, rng: random.Random) -> None:
    shade, draw = canvas.light.shade, canvas.draw
    draw.rectangle((0, shore, SIZE, shore + 22), fill=shade(mix(near, (216, 210, 200), 0.6)))
    y, start, gap = shore + (SIZE - shore) * 0.62, rng.uniform(-60, 0), rng.uniform(80, 120)
    for step in range(9):
        x = start + step * gap
        draw.polygon(
            ((x, y), (x + gap * 0.5, y), (x + gap * 0.44, y + 9), (x - 6, y + 9)),
            fill=shade(mix(near, (246, 240, 214), 0.75)),
        )


def _tiles(canvas: Canvas, shore: float, near: Color, rng: random.Random) -> None:
    line = canvas.light.shade(mix(near, (120, 112, 104), 0.5))
    center = rng.uniform(200, 400)
    for step in range(-8, 9):
        canvas.draw.line((center + step * 40, shore, center + step * 120, SIZE), fill=line, width=2)
    for share in (0.08, 0.24, 0.5, 0.82):
        y = shore + (SIZE - shore) * share
        canvas.draw.line((0, y, SIZE, y), fill=line, width=2)


def _speckle(canvas: Canvas, shore: float, near: Color, rng: random.Random) -> None:
    for _ in range(60):
        x, y = rng.uniform(0, SIZE), rng.uniform(shore, SIZE)
        color = canvas.light.shade(mix(near, (0, 0, 0) if rng.random() < 0.5 else (255, 255, 230), 0.14))
        canvas.draw.ellipse((x, y, x + rng.uniform(8, 26), y + 5), fill=color)


def _puddles(canvas: Canvas, shore: float, rng: random.Random) -> None:
    for _ in range(rng.randint(3, 5)):
        x, y, w = rng.uniform(0, SIZE), rng.uniform(shore + 30, SIZE - 20), rng.uniform(40, 95)
        canvas.draw.ellipse(
            (x - w, y - w * 0.16, x + w, y + w * 0.16),
            fill=mix(canvas.light.horizon, canvas.light.shade((120, 130, 145)), 0.35),
        )
        canvas.draw.ellipse(
            (x - w * 0.4, y - w * 0.06, x + w * 0.3, y + w * 0.07), outline=canvas.light.horizon, width=2
        )
