"""People, and what they carry, by weather and mood."""

import random

from demo.scenes.canvas import SIZE, Canvas, Pen
from demo.scenes.light import Color
from demo.scenes.scene import Mood, Scene, Weather

CLOTHES: tuple[Color, ...] = (
    (206, 52, 56), (44, 92, 168), (52, 132, 86), (236, 176, 48), (122, 62, 142), (232, 122, 150), (46, 52, 66), (224, 224, 218), (38, 152, 168),
)  # fmt: skip
SKIN: tuple[Color, ...] = ((246, 208, 178), (222, 172, 132), (168, 116, 80), (104, 68, 48))
HAIR: tuple[Color, ...] = ((44, 32, 26), (96, 62, 34), (198, 156, 82), (150, 66, 36))


def draw_people(canvas: Canvas, scene: Scene, base: float, rng: random.Random) -> None:
    """Draw the people of *scene* on the near ground, their feet around *base* (canvas y)."""
    weather = scene.weather
    if scene.mood is Mood.LIVELY:
        for _ in range(rng.randint(4, 6)):
            _person(
                canvas.pen(rng.uniform(20, SIZE - 20), base + rng.uniform(-16, 14), rng.uniform(0.72, 0.9)),
                weather,
                rng,
            )
        _bunting(canvas, rng)
    elif scene.mood is Mood.ROMANTIC:
        x, scale = rng.uniform(70, SIZE - 70), rng.uniform(0.95, 1.1)
        _person(canvas.pen(x - 15 * scale, base, scale), weather, rng, umbrella=False)
        _person(canvas.pen(x + 15 * scale, base, scale * 0.92, flip=True), weather, rng)
        _heart(canvas.pen(x, base - 128 * scale, scale))
    elif scene.mood is Mood.PLAYFUL:
        for _ in range(2):
            pen = canvas.pen(rng.uniform(40, SIZE - 40), base - rng.uniform(8, 26), rng.uniform(0.62, 0.75))
            _person(pen, weather, rng, jumping=True)
        _kite(
            canvas.pen(
                rng.uniform(120, SIZE - 120), rng.uniform(120, 210), rng.uniform(0.9, 1.2), flip=rng.random() < 0.5
            ),
            rng,
        )
    elif rng.random() < 0.75:
        _person(canvas.pen(rng.uniform(40, SIZE - 40), base, rng.uniform(0.82, 1.0)), weather, rng)


def _person(pen: Pen, weather: Weather, rng: random.Random, *, umbrella: bool = True, jumping: bool = False) -> None:
    coat, trousers, skin = (
        rng.choice(CLOTHES),
        rng.choice(((42, 46, 60), (70, 78, 104), (96, 84, 70))),
        rng.choice(SKIN),
    )
    spread = 13 if jumping else 6
    pen.line(((-4, 40), (-spread, 0)), trousers, 8)
    pen.line(((4, 40), (spread, 0)), trousers, 8)
    pen.poly(((-13, 38), (13, 38), (11, 76), (-11, 76)), coat)
    if jumping:
        pen.line(((-10, 72), (-28, 96)), coat, 6)
        pen.line(((10, 72), (28, 96)), coat, 6)
    else:
        pen.line(((-11, 72), (-16, 46)), coat, 6)
        pen.line(((11, 72), (16, 50)), coat, 6)
    pen.oval(0, 88, 9.5, 11, rng.choice(HAIR))
    pen.oval(0, 86, 8, 9, skin)
    if weather is Weather.SNOW:
        pen.rect(-11, 73, 11, 79, rng.choice(CLOTHES))
        pen.poly(((-10, 92), (10, 92), (6, 103), (-6, 103)), rng.choice(CLOTHES))
    elif weather is Weather.RAIN and umbrella:
        _umbrella(pen, rng)


def _umbrella(pen: Pen, rng: random.Random) -> None:
    color = rng.choice(CLOTHES)
    pen.line(((14, 54), (14, 128)), (60, 60, 66), 3)
    pen.poly(
        (
            (-26, 108),
            (-20, 124),
            (-2, 137),
            (14, 141),
            (30, 137),
            (48, 124),
            (54, 108),
            (40, 112),
            (27, 107),
            (14, 112),
            (1, 107),
            (-12, 112),
        ),
        color,
    )


def _bunting(canvas: Canvas, rng: random.Random) -> None:
    height, sag = rng.uniform(18, 60), rng.uniform(20, 46)
    line = [(x, height + sag * (1 - ((x - 300) / 300) ** 2)) for x in range(0, SIZE + 1, 50)]
    canvas.draw.line(line, fill=canvas.light.shade((240, 236, 226)), width=2)
    for index, (x, y) in enumerate(line):
        canvas.draw.polygon(
            ((x - 12, y), (x + 12, y), (x, y + 26)), fill=canvas.light.shade(CLOTHES[(index * 2) % len(CLOTHES)])
        )


def _heart(pen: Pen) -> None:
    color = (236, 48, 84)
    pen.oval(-8, 8, 9.5, 9.5, color)
    pen.oval(8, 8, 9.5, 9.5, color)
    pen.poly(((-17, 4), (17, 4), (0, -17)), color)


def _kite(pen: Pen, rng: random.Random) -> None:
    first, second = rng.sample(CLOTHES[:6], 2)
    pen.line(((0, -34), (-14, -60), (6, -84), (-12, -112)), (236, 236, 230), 2)
    pen.poly(((0, 36), (26, 4), (0, -34)), first)
    pen.poly(((0, 36), (-26, 4), (0, -34)), second)
    for x, y in ((-14, -60), (6, -84)):
        pen.poly(((x - 8, y + 6), (x + 8, y - 6), (x + 8, y + 6), (x - 8, y - 6)), first)
