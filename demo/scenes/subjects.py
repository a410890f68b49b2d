"""Subjects that occur in every city, drawn large in the foreground.

Each stands on its pen's origin and is about 220 units high.
"""

import math
import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.light import Color
from demo.scenes.scene import Subject
from demo.scenes.signature import BLACK, WHITE, wheels


def draw_common(pen: Pen, subject: Subject, rng: random.Random) -> None:
    """Draw *subject*, one of the common ones."""
    _PAINTERS[subject](pen, rng)


def _coffee(pen: Pen, rng: random.Random) -> None:
    pen.rect(-900, -60, 900, 10, (132, 84, 50))
    pen.rect(-900, 4, 900, 12, (164, 110, 68))
    sleeve = rng.choice(((150, 96, 56), (62, 44, 36), (38, 104, 82)))
    pen.oval(0, 10, 66, 9, (90, 56, 36))
    pen.poly(((-56, 8), (56, 8), (74, 206), (-74, 206)), (250, 248, 242))
    pen.poly(((24, 8), (56, 8), (74, 206), (38, 206)), (224, 220, 212))
    pen.poly(((-62, 62), (62, 62), (70, 150), (-70, 150)), sleeve)
    pen.oval(0, 106, 26, 26, WHITE)
    pen.oval(0, 106, 11, 15, sleeve)
    pen.rect(-82, 204, 82, 220, BLACK)
    pen.poly(((-72, 220), (72, 220), (62, 240), (-62, 240)), (58, 54, 54))
    for x in (-26, 8, 40):
        points = [(x + 9 * math.sin(step * 0.8), 246 + step * 8) for step in range(10)]
        pen.line(points, (246, 246, 246), 7)


def _dog(pen: Pen, rng: random.Random) -> None:
    coat = rng.choice(((206, 136, 58), (222, 172, 92), (150, 92, 52), (186, 110, 44)))
    collar = rng.choice(((214, 40, 52), (38, 110, 200), (40, 150, 90)))
    dark: Color = (coat[0] * 3 // 4, coat[1] * 3 // 4, coat[2] * 3 // 4)
    pen.oval(0, 6, 92, 9, (70, 66, 62))
    pen.line(((62, 30), (98, 52), (104, 96)), coat, 18)
    pen.oval(14, 66, 66, 66, coat)
    pen.oval(-14, 92, 46, 62, coat)
    pen.oval(-18, 84, 26, 48, (250, 240, 222))
    for x in (-40, 0):
        pen.rect(x - 13, 8, x + 13, 76, coat)
        pen.oval(x, 9, 17, 10, (250, 240, 222))
    pen.oval(58, 16, 34, 15, dark)
    pen.oval(-20, 178, 54, 50, coat)
    pen.poly(((-70, 212), (-52, 172), (-84, 150)), dark)
    pen.poly(((30, 212), (12, 172), (44, 150)), dark)
    pen.oval(-20, 158, 30, 24, (250, 240, 222))
    pen.oval(-20, 170, 12, 8, BLACK)
    pen.oval(-40, 190, 7, 8, BLACK)
    pen.oval(0, 190, 7, 8, BLACK)
    pen.oval(-20, 142, 9, 14, (240, 104, 124))
    pen.rect(-54, 122, 14, 134, collar)
    pen.oval(-20, 118, 8, 8, (250, 206, 60))


def _bicycle(pen: Pen, rng: random.Random) -> None:
    frame = rng.choice(((222, 40, 48), (30, 128, 190), (28, 150, 120), (240, 130, 170)))
    pen.oval(0, 4, 140, 7, (70, 66, 62))
    for x in (-92, 92):
        pen.ring(x, 66, 64, BLACK, 9)
        pen.ring(x, 66, 56, (214, 214, 216), 3)
        for dx, dy in ((56, 0), (40, 40), (0, 56), (-40, 40)):
            pen.line(((x - dx, 66 - dy), (x + dx, 66 + dy)), (190, 190, 194), 2)
    for points in (
        ((-92, 66), (-34, 150), (64, 156), (-6, 62), (-92, 66)),
        ((-6, 62), (-40, 164)),
        ((92, 66), (58, 182)),
    ):
        pen.line(points, frame, 10)
    pen.poly(((-66, 172), (-16, 172), (-22, 160), (-56, 160)), (70, 44, 30))
    pen.line(((58, 182), (40, 194), (26, 188)), BLACK, 8)
    pen.ring(-6, 62, 17, (60, 60, 64), 6)
    pen.poly(((66, 176), (128, 176), (118, 130), (76, 130)), (190, 136, 76))
    for index, x in enumerate((72, 88, 104, 120)):
        pen.oval(
            x, 186 + (index % 2) * 10, 13, 13, ((240, 84, 120), (250, 210, 70), (252, 252, 250), (176, 92, 206))[index]
        )


def _food_truck(pen: Pen, rng: random.Random) -> None:
    body = rng.choice(((38, 176, 178), (240, 238, 230), (246, 150, 190)))
    pen.oval(0, 4, 150, 8, (60, 58, 58))
    pen.rect(-140, 20, 104, 170, body)
    pen.poly(((104, 20), (146, 20), (146, 84), (128, 132), (104, 132)), body)
    pen.poly(((108, 84), (140, 84), (126, 126), (108, 126)), (140, 182, 206))
    pen.rect(-140, 20, 146, 40, (214, 48, 48))
    pen.lamp(-112, 74, 60, 134, (255, 226, 140), (84, 66, 56))
    pen.oval(-60, 96, 14, 15, (222, 172, 132))
    pen.rect(-76, 74, -44, 84, WHITE)
    pen.rect(-72, 108, -48, 122, WHITE)
    for index in range(9):
        x = -122 + index * 21
        pen.poly(((x, 146), (x + 21, 146), (x + 19, 118), (x - 4, 118)), (226, 40, 44) if index % 2 == 0 else WHITE)
    pen.rect(-118, 66, 66, 74, (120, 84, 56))
    wheels(pen, (-88, 92), 24)
    # The giant hot dog on the roof.
    pen.oval(-20, 190, 82, 20, (232, 176, 96))
    pen.oval(-20, 200, 92, 15, (188, 66, 40))
    pen.line([(-92 + step * 18, 202 + (7 if step % 2 else -3)) for step in range(9)], (255, 214, 40), 6)
    pen.shine(-26, 100, 120, (255, 214, 120), 90)


def _balloons(pen: Pen, rng: random.Random) -> None:
    colors = [
        (230, 36, 52),
        (252, 200, 30),
        (36, 130, 226),
        (46, 172, 90),
        (240, 110, 180),
        (148, 70, 200),
        (252, 130, 30),
    ]
    rng.shuffle(colors)
    coat = rng.choice(((44, 92, 168), (232, 122, 150), (236, 176, 48)))
    hand = (22, 72)
    places = ((-44, 176), (30, 172), (96, 186), (-8, 222), (66, 232), (24, 272), (-56, 240))
    for x, y in places:
        pen.line((hand, (x, y - 36)), (240, 240, 240), 2)
    for index, (x, y) in enumerate(places):
        color: Color = colors[index]
        pen.poly(((x - 6, y - 42), (x + 6, y - 42), (x, y - 32)), color)
        pen.oval(x, y, 32, 38, color)
        pen.oval(x - 11, y + 14, 7, 10, (255, 240, 240))
    pen.line(((-6, 38), (-8, 0)), (60, 66, 90), 9)
    pen.line(((6, 38), (8, 0)), (60, 66, 90), 9)
    pen.poly(((-17, 34), (17, 34), (12, 72), (-12, 72)), coat)
    pen.line(((10, 66), hand), coat, 7)
    pen.oval(0, 86, 13, 14, (96, 62, 34))
    pen.oval(0, 83, 11, 11, (246, 208, 178))


_PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    Subject.COFFEE: _coffee,
    Subject.DOG: _dog,
    Subject.BICYCLE: _bicycle,
    Subject.FOOD_TRUCK: _food_truck,
    Subject.BALLOONS: _balloons,
}
