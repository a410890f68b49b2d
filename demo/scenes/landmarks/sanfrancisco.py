"""Landmarks of San Francisco."""

import random
from collections.abc import Callable

from demo.scenes.canvas import Pen
from demo.scenes.landmarks.bridges import suspension
from demo.scenes.light import Color
from demo.scenes.scene import Subject
from demo.scenes.signature import BLACK, HOUSES, house, wheels


def _golden_gate(pen: Pen, rng: random.Random) -> None:
    red: Color = (212, 62, 32)
    gap = rng.uniform(290, 380)
    for x, w, h in ((-330, 240, 120), (gap + 330, 250, 150)):
        pen.poly(((x - w, 0), (x - w * 0.4, h), (x + w * 0.3, h * 0.8), (x + w, 0)), (126, 128, 78))
    suspension(pen, (0, gap), 286, 84, red, 6)
    for x in (0, gap):
        tower = pen.at(x, 0)
        tower.rect(-34, -8, 34, 16, (170, 160, 150))
        for leg in (-20, 20):
            tower.rect(leg - 9, 10, leg + 9, 300, red)
            tower.rect(leg + 3, 10, leg + 9, 300, (170, 44, 24))
        for y, h in ((70, 14), (130, 16), (190, 16), (246, 16), (290, 14)):
            tower.rect(-28, y, 28, y + h, red)
        tower.shine(0, 306, 26, (255, 80, 60), 220)
    for x in range(-300, 700, 52):
        pen.shine(x, 92, 18, (255, 210, 130), 220)


def _painted_ladies(pen: Pen, rng: random.Random) -> None:
    colors = list(HOUSES)
    rng.shuffle(colors)
    for index in range(-4, 5):
        house(pen.at(index * 112, 0, 1.32), colors[index % len(colors)], rng)
        pen.at(index * 112 + 29, 0).poly(((-16, 0), (16, 0), (26, -20), (-26, -20)), (206, 198, 188))


def _cable_car(pen: Pen, rng: random.Random) -> None:
    maroon: Color = (140, 34, 40)
    cream: Color = (248, 226, 172)
    brass: Color = (224, 172, 60)
    pen.line(((-420, -4), (420, -4)), (70, 70, 74), 5)
    pen.line(((-420, -22), (420, -22)), (70, 70, 74), 5)
    pen.oval(0, 0, 160, 9, (56, 54, 54))
    pen.rect(-150, 22, 150, 84, maroon)
    pen.rect(-150, 76, 150, 84, brass)
    pen.rect(-150, 22, 150, 32, (58, 40, 36))
    pen.rect(-10, 84, 140, 172, cream)
    for x in (0, 46, 92):
        pen.lamp(x + 4, 98, x + 38, 160, (255, 226, 140), (120, 160, 184))
    # The open end, with its poles and people on the running board.
    for x in (-146, -100, -54):
        pen.rect(x, 84, x + 7, 172, (88, 52, 36))
    for x in (-122, -76, -30):
        coat: Color = rng.choice(((46, 92, 168), (60, 140, 90), (236, 176, 48)))
        pen.rect(x - 13, 60, x + 13, 110, coat)
        pen.oval(x, 126, 11, 13, (226, 178, 140))
    pen.rect(-162, 172, 156, 186, maroon)
    pen.poly(((-132, 186), (128, 186), (112, 212), (-116, 212)), cream)
    for x in range(-110, 110, 36):
        pen.lamp(x, 191, x + 22, 206, (255, 226, 140), (120, 160, 184))
    pen.rect(-124, 212, 120, 220, maroon)
    pen.oval(-150, 58, 12, 12, (255, 244, 196))
    pen.shine(-150, 58, 70, (255, 236, 170), 190)
    pen.oval(60, 54, 18, 15, brass)
    wheels(pen, (-96, 96), 15)
    pen.rect(-166, 14, 166, 22, BLACK)


PAINTERS: dict[Subject, Callable[[Pen, random.Random], None]] = {
    Subject.GOLDEN_GATE: _golden_gate,
    Subject.PAINTED_LADIES: _painted_ladies,
    Subject.CABLE_CAR: _cable_car,
}
