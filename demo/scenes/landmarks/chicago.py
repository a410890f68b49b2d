"""Landmarks of Chicago."""

import math
import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.landmarks.bridges import wheel
from demo.scenes.light import Color, mix
from demo.scenes.scene import Subject
from demo.scenes.skyline import windows


def _cloud_gate(pen: Pen, rng: random.Random) -> None:
    light = pen.canvas.light
    draw = pen.canvas.draw
    bright = mix((238, 242, 246), light.sky[1], 0.35)
    if light.dark:
        bright = mix(bright, light.sky[1], 0.35)
    pen.oval(0, 2, 165, 12, (96, 92, 90))
    outline = [(176 * math.cos(a), 84 + 84 * math.sin(a)) for a in (math.radians(d) for d in range(-24, 206, 10))]
    foot = [(-150, 22), (-112, 4), (-70, 8), (-40, 34), (0, 44), (40, 34), (70, 8), (112, 4), (150, 22)]
    draw.polygon(pen.points([*outline, *foot]), fill=bright)
    # The sky bends over its top; the skyline bends around its waist.
    top = [(160 * math.cos(a), 92 + 74 * math.sin(a)) for a in (math.radians(d) for d in range(10, 171, 10))]
    draw.polygon(pen.points(top), fill=mix(light.sky[0], (255, 255, 255), 0.35))
    for step in range(-9, 10):
        x, h = step * 16, rng.uniform(12, 36) * (1 - abs(step) / 13)
        y = 66 + abs(step) * 1.6
        pen.rect(x, y, x + 11, y + h, (104, 112, 128))
    draw.polygon(
        pen.points([(-166, 62), (0, 72), (166, 62), (150, 30), (60, 44), (0, 52), (-60, 44), (-150, 30)]),
        fill=light.shade((150, 140, 132)),
    )
    pen.poly([(-70, 8), (-40, 34), (0, 44), (40, 34), (70, 8), (44, 22), (0, 30), (-44, 22)], (58, 56, 60))
    arc = [(150 * math.cos(a), 88 + 68 * math.sin(a)) for a in (math.radians(d) for d in range(100, 156, 8))]
    draw.line(pen.points(arc), fill=(252, 254, 255), width=max(2, int(9 * pen.scale)))
    draw.line(pen.points([*outline, outline[0]][:24]), fill=light.shade((120, 126, 138)), width=3)


def _willis_tower(pen: Pen, rng: random.Random) -> None:
    black: Color = (40, 42, 50)
    side: Color = (26, 28, 34)
    if pen.canvas.light.dark:
        black, side = (74, 78, 96), (52, 54, 70)
    for x0, x1, low, high in (
        (-78, 78, 0, 150),
        (-78, 26, 150, 206),
        (-26, 78, 150, 180),
        (-26, 52, 180, 262),
        (-52, 26, 206, 262),
        (-26, 26, 262, 330),
    ):
        pen.rect(x0, low, x1, high, black)
        pen.rect(x1 - 14, low, x1, high, side)
        windows(
            pen,
            (x0 + 3, low + 4, x1 - 16, high - 3),
            (int((x1 - x0) // 13), max(2, int((high - low) // 14))),
            rng,
            0.5 if pen.canvas.light.dark else 0.12,
        )
    for y in (72, 150, 206, 262, 322):
        half = 78 if y <= 150 else (52 if y <= 262 else 26)
        pen.rect(-half, y - 7, min(half, 78), y, (92, 96, 108))
    for x in (-15, 15):
        pen.rect(x - 5, 330, x + 5, 366, (236, 236, 238))
        pen.line(((x, 366), (x, 424)), (244, 244, 246), 5)
        pen.shine(x, 424, 26, (255, 70, 70), 220)


def _navy_pier(pen: Pen, rng: random.Random) -> None:
    colors: tuple[Color, ...] = ((36, 96, 190), (222, 44, 52), (250, 196, 50))
    first = rng.randrange(3)
    pen.rect(-260, 0, 260, 26, (150, 132, 112))
    pen.rect(-260, 22, 260, 30, (196, 178, 152))
    # The brick hall with its two domed turrets.
    pen.rect(120, 30, 250, 92, (178, 84, 62))
    windows(pen, (128, 36, 242, 86), (8, 3), rng)
    for x in (136, 234):
        pen.rect(x - 16, 92, x + 16, 126, (190, 94, 70))
        pen.poly(((x - 20, 126), (x + 20, 126), (x, 162)), (70, 128, 124))
    pen.poly(((-86, 30), (-70, 30), (6, 172), (-6, 172)), (232, 232, 236))
    pen.poly(((86, 30), (70, 30), (-6, 172), (6, 172)), (232, 232, 236))
    if pen.canvas.light.dark:
        pen.shine(0, 172, 170, (120, 150, 255), 140)
    for index, (cabin_x, cabin_y) in enumerate(wheel(pen, 132, 172, (226, 226, 232), 16, 7)):
        color = colors[(index + first) % 3]
        cabin = pen.at(cabin_x, cabin_y)
        cabin.rect(-13, -20, 13, -2, color)
        cabin.lamp(-8, -12, 8, -5, (255, 240, 180), (210, 230, 244))


PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    Subject.CLOUD_GATE: _cloud_gate,
    Subject.WILLIS_TOWER: _willis_tower,
    Subject.NAVY_PIER: _navy_pier,
}
