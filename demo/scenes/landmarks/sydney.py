"""Landmarks of Sydney."""

import itertools
import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.light import Color
from demo.scenes.scene import Subject
from demo.scenes.signature import shells


def _opera_house(pen: Pen, _: random.Random) -> None:
    pen.shine(0, 110, 240, (255, 236, 200), 110)
    shells(pen.at(0, 0, 1.5))


def _harbour_bridge(pen: Pen, _: random.Random) -> None:
    steel: Color = (104, 112, 122)
    reach = 330

    def arch(x: float, crown: float) -> float:
        return crown * (1 - (x / reach) ** 2)

    steps = [-reach + index * reach / 10 for index in range(21)]
    for low, high in itertools.pairwise(steps):
        pen.line(((low, 40 + arch(low, 170)), (high, 66 + arch(high, 190))), steel, 4)
        pen.line(((low, 40 + arch(low, 170)), (low, 66 + arch(low, 190))), steel, 4)
        pen.line(((low, 96), (low, 40 + arch(low, 170))), steel, 2)
    pen.line([(x, 66 + arch(x, 190)) for x in steps], steel, 9)
    pen.line([(x, 40 + arch(x, 170)) for x in steps], steel, 9)
    pen.rect(-900, 84, 900, 100, (84, 90, 100))
    for x in (-reach, reach):
        pen.rect(x - 34, 0, x - 4, 150, (208, 186, 156))
        pen.rect(x + 4, 0, x + 34, 150, (208, 186, 156))
        pen.rect(x - 40, 144, x + 40, 154, (184, 162, 132))
    pen.poly(((-14, 256), (14, 256), (14, 274), (-14, 274)), (36, 60, 150))
    for x in range(-500, 520, 60):
        pen.shine(x, 104, 20, (255, 224, 150), 220)


def _bondi_surf(pen: Pen, rng: random.Random) -> None:
    turquoise: Color = (40, 176, 190)
    foam: Color = (250, 254, 254)
    for y, h in ((60, 40), (14, 46)):
        start = rng.uniform(-460, -400)
        crest = [(start + step * 70, y + h * (0.7 + 0.3 * (step % 2))) for step in range(14)]
        pen.poly([*crest, (crest[-1][0], y - 10), (start, y - 10)], turquoise)
        pen.line(crest, foam, 11)
    pen.poly(
        ((-140, 64), (-60, 84), (30, 150), (120, 196), (188, 168), (150, 150), (160, 90), (196, 60)), (24, 150, 172)
    )
    pen.line(((-60, 84), (30, 150), (120, 196), (188, 168)), foam, 14)
    board: Color = rng.choice(((250, 206, 50), (236, 74, 60), (252, 252, 248)))
    pen.poly(((-64, 104), (-20, 122), (54, 150), (92, 178), (40, 136), (-16, 108)), board)
    skin: Color = (206, 148, 104)
    pen.line(((-2, 122), (10, 156), (24, 178)), skin, 13)
    pen.line(((40, 146), (34, 164), (24, 178)), skin, 13)
    pen.poly(((10, 172), (36, 176), (38, 226), (14, 224)), (34, 52, 92))
    pen.line(((16, 218), (-28, 204)), skin, 10)
    pen.line(((36, 218), (80, 232)), skin, 10)
    pen.oval(28, 244, 14, 16, skin)
    pen.oval(26, 252, 15, 10, (226, 190, 110))


PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    Subject.OPERA_HOUSE: _opera_house,
    Subject.HARBOUR_BRIDGE: _harbour_bridge,
    Subject.BONDI_SURF: _bondi_surf,
}
