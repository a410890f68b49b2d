"""Landmarks of New York."""

import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.landmarks.bridges import suspension
from demo.scenes.light import Color
from demo.scenes.scene import Subject
from demo.scenes.skyline import windows


def _statue_of_liberty(pen: Pen, _: random.Random) -> None:
    green: Color = (112, 184, 160)
    shadow: Color = (80, 146, 128)
    stone: Color = (198, 184, 160)
    pen.poly(((-150, 0), (150, 0), (110, 22), (-110, 22)), (96, 132, 84))
    pen.poly(((-92, 16), (92, 16), (78, 44), (-78, 44)), (168, 154, 134))
    pen.poly(((-50, 44), (50, 44), (40, 120), (-40, 120)), stone)
    pen.rect(-46, 112, 46, 122, (222, 210, 188))
    pen.rect(-20, 66, 20, 100, (168, 152, 130))
    pen.shine(0, 190, 150, (190, 230, 200), 110)
    pen.poly(((-36, 122), (36, 122), (26, 190), (30, 232), (14, 246), (-18, 246), (-28, 228), (-26, 186)), green)
    for x in (-20, -4, 12, 24):
        pen.line(((x, 124), (x * 0.6, 206)), shadow, 4)
    pen.poly(((-28, 236), (24, 246), (30, 200), (16, 190)), shadow)
    pen.poly(((-28, 226), (-14, 246), (-40, 304), (-52, 300)), green)
    pen.rect(-56, 300, -36, 308, (214, 172, 60))
    pen.poly(((-54, 308), (-38, 308), (-46, 340)), (255, 206, 60))
    pen.shine(-46, 322, 46, (255, 210, 90), 200)
    pen.poly(((20, 196), (46, 206), (40, 240), (22, 232)), shadow)
    pen.oval(0, 262, 16, 20, green)
    for dx, dy in ((-30, 14), (-24, 28), (-12, 38), (0, 42), (12, 38), (24, 28), (30, 14)):
        pen.poly(((-5 + dx * 0.3, 270), (5 + dx * 0.3, 270), (dx, 270 + dy)), green)
    pen.rect(-18, 268, 18, 276, shadow)


def _brooklyn_bridge(pen: Pen, rng: random.Random) -> None:
    stone: Color = (188, 152, 116)
    gap = rng.uniform(300, 380)
    suspension(pen, (0, gap), 250, 92, (92, 84, 78), 6)
    for x, size in ((gap, 0.92), (0, 1.0)):
        tower = pen.at(x, 0, size)
        for edge in (-1, 1):
            for reach in (60, 110, 160):
                tower.line(((0, 262), (edge * reach, 96)), (112, 102, 94), 1.6)
        tower.rect(-66, 0, 66, 262, stone)
        tower.rect(-66, 0, 66, 40, (150, 120, 94))
        tower.rect(-72, 254, 72, 274, (210, 176, 138))
        tower.rect(-72, 100, 72, 108, (160, 128, 98))
        for center in (-30, 30):
            opening = ((center - 17, 108), (center + 17, 108), (center + 17, 196), (center, 230), (center - 17, 196))
            tower.canvas.draw.polygon(tower.points(opening), fill=tower.canvas.light.horizon)
            tower.line((opening[4], opening[3], opening[2]), (140, 110, 84), 4)
        for row in range(1, 6):
            tower.line(((-64, row * 42), (-50, row * 42)), (160, 128, 98), 3)
            tower.line(((50, row * 42), (64, row * 42)), (160, 128, 98), 3)
    for x in range(-300, 700, 46):
        pen.shine(x, 98, 18, (255, 224, 150), 220)


def _empire_state(pen: Pen, rng: random.Random) -> None:
    stone: Color = (198, 176, 142)
    shadow: Color = (150, 128, 100)
    beam = rng.choice(((255, 90, 90), (120, 160, 255), (255, 230, 140)))
    for half, low, high in ((88, 0, 54), (68, 54, 100), (48, 100, 270), (36, 270, 296), (22, 296, 318), (11, 318, 346)):
        pen.rect(-half, low, half, high, stone)
        pen.rect(half * 0.55, low, half, high, shadow)
        if half > 30:
            columns = half // 8
            windows(pen, (-half + 3, low + 3, half - 3, high - 2), (columns, max(2, (high - low) // 15)), rng, 0.72)
    for x in (-16, 0, 16):
        pen.rect(x - 2, 100, x + 2, 290, (226, 216, 200))
    pen.lamp(-22, 298, 22, 316, beam, (214, 202, 186))
    pen.lamp(-11, 320, 11, 344, beam, (190, 190, 194))
    pen.shine(0, 320, 90, beam, 170)
    pen.poly(((-7, 346), (7, 346), (3, 372), (-3, 372)), (176, 180, 188))
    pen.line(((0, 370), (0, 430)), (196, 200, 206), 4)


PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    Subject.STATUE_OF_LIBERTY: _statue_of_liberty,
    Subject.BROOKLYN_BRIDGE: _brooklyn_bridge,
    Subject.EMPIRE_STATE: _empire_state,
}
