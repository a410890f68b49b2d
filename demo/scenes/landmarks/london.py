"""Landmarks of London."""

import math
import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.landmarks.bridges import wheel
from demo.scenes.light import Color
from demo.scenes.scene import Subject
from demo.scenes.skyline import windows


def _big_ben(pen: Pen, rng: random.Random) -> None:
    stone: Color = (212, 178, 116)
    shadow: Color = (172, 138, 86)
    roof: Color = (70, 84, 84)
    palace = pen.at(56, 0)
    palace.rect(0, 0, 300, 92, (200, 168, 112))
    windows(palace, (6, 10, 294, 84), (18, 3), rng, 0.8)
    for x in range(4, 300, 37):
        palace.poly(((x - 6, 90), (x + 6, 90), (x, 122)), shadow)
    pen.rect(-42, 0, 42, 226, stone)
    for x in (-28, -10, 8, 26):
        pen.rect(x, 8, x + 5, 220, shadow)
    pen.rect(-50, 220, 50, 300, stone)
    pen.rect(-50, 220, 50, 228, shadow)
    pen.shine(0, 260, 80, (255, 236, 170), 170)
    pen.oval(0, 262, 36, 36, (206, 160, 52))
    face: Color = (255, 250, 224)
    pen.canvas.draw.ellipse(
        [*pen.points(((-31, 293),))[0], *pen.points(((31, 231),))[0]]
        if pen.across > 0
        else [*pen.points(((31, 293),))[0], *pen.points(((-31, 231),))[0]],
        fill=face if pen.canvas.light.dark else pen.shade(face),
    )
    for length, angle in ((25, rng.uniform(0, 6.28)), (17, rng.uniform(0, 6.28))):
        pen.line(((0, 262), (length * math.sin(angle), 262 + length * math.cos(angle))), (30, 30, 40), 5)
    pen.poly(((-54, 300), (54, 300), (36, 332), (-36, 332)), roof)
    pen.rect(-32, 332, 32, 352, stone)
    pen.poly(((-38, 352), (38, 352), (0, 430)), roof)
    pen.line(((0, 430), (0, 452)), (214, 172, 60), 4)


def _london_eye(pen: Pen, _: random.Random) -> None:
    white: Color = (244, 246, 250)
    if pen.canvas.light.dark:
        pen.shine(0, 178, 190, (255, 90, 150), 150)
    pen.rect(-120, 0, 120, 14, (150, 146, 142))
    pen.line(((-74, 10), (0, 178)), white, 9)
    pen.line(((74, 10), (0, 178)), white, 9)
    cabins = wheel(pen, 152, 178, white, 24, 6)
    for x, y in cabins:
        pen.oval(x * 1.06, 178 + (y - 178) * 1.06, 13, 9, (172, 206, 230))
        pen.oval(x * 1.06, 178 + (y - 178) * 1.06, 8, 5, (232, 244, 252))


def _phone_box(pen: Pen, rng: random.Random) -> None:
    red: Color = (212, 20, 32)
    dark: Color = (150, 12, 24)
    pen.oval(0, 2, 84, 9, (66, 62, 62))
    pen.rect(-70, 0, 70, 14, dark)
    pen.rect(-62, 10, 62, 270, red)
    pen.rect(46, 10, 62, 270, dark)
    pen.rect(-70, 262, 70, 300, red)
    pen.poly(((-70, 300), (70, 300), (44, 324), (0, 332), (-44, 324)), red)
    pen.lamp(-54, 272, 54, 292, (255, 246, 214), (252, 248, 236))
    for step in range(8):
        pen.rect(-42 + step * 11, 278, -36 + step * 11, 286, (40, 36, 36))
    for row in range(6):
        for column in range(3):
            x, y = -44 + column * 29, 34 + row * 37
            pen.lamp(x, y, x + 24, y + 31, (255, 232, 160), (196, 220, 232))
    pen.shine(0, 150, 150, (255, 214, 130), 80)
    if rng.random() < 0.5:
        pen.rect(-12, 48, 10, 110, (60, 60, 70))


PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    Subject.BIG_BEN: _big_ben,
    Subject.LONDON_EYE: _london_eye,
    Subject.PHONE_BOX: _phone_box,
}
