"""City signatures: the taxi, train, houses, bus or ferry that reveal a city without a landmark."""

import random
from collections.abc import Callable

from demo.scenes.canvas import SIZE, Canvas, Pen
from demo.scenes.light import Color
from demo.scenes.scene import City
from demo.scenes.skyline import LIT, windows

BLACK: Color = (30, 30, 34)
WHITE: Color = (240, 240, 238)


def draw_signature(canvas: Canvas, city: City, shore: float, side: int, rng: random.Random) -> None:
    """Draw the signature of *city* near *shore* (canvas y), on the left (*side* -1) or the right (1)."""
    _PAINTERS[city](canvas, shore, side, rng)


def wheels(pen: Pen, places: tuple[float, ...], radius: float) -> None:
    """Draw road wheels whose tires touch the ground at the given x."""
    for x in places:
        pen.oval(x, radius, radius, radius, BLACK)
        pen.oval(x, radius, radius * 0.45, radius * 0.45, (170, 170, 176))


def _spot(canvas: Canvas, y: float, side: int, scale: float, rng: random.Random) -> Pen:
    x = SIZE * 0.5 + side * rng.uniform(90, 190)
    return canvas.pen(x, y, scale * rng.uniform(0.9, 1.12), flip=rng.random() < 0.5)


def _newyork(canvas: Canvas, shore: float, side: int, rng: random.Random) -> None:
    yellow: Color = (250, 196, 20)
    pen = _spot(canvas, shore + rng.uniform(54, 76), side, 1.25, rng)
    pen.oval(0, 3, 96, 7, (54, 54, 58))
    pen.poly(((-92, 14), (92, 14), (94, 40), (66, 48), (-90, 50)), yellow)
    pen.poly(((-58, 48), (50, 48), (30, 80), (-40, 80)), yellow)
    pen.poly(((-50, 50), (-4, 50), (-4, 74), (-36, 74)), (126, 170, 196))
    pen.poly(((2, 50), (40, 50), (26, 74), (2, 74)), (126, 170, 196))
    for x in range(-84, 84, 14):
        pen.rect(x, 30, x + 7, 36, BLACK)
    pen.lamp(-16, 80, 16, 92, (255, 244, 190), (255, 250, 226))
    wheels(pen, (-58, 56), 17)
    pen.lamp(84, 28, 94, 38, (255, 250, 210), (250, 246, 220))
    pen.shine(96, 32, 60, (255, 236, 170))
    pen.shine(0, 86, 40, (255, 226, 130), 110)


def _chicago(canvas: Canvas, shore: float, side: int, rng: random.Random) -> None:
    # The elevated train crosses the whole picture on its steel frame; a flag hangs from a post.
    deck, height, steel = shore - rng.uniform(24, 34), rng.uniform(74, 88), (122, 70, 52)
    pen = canvas.pen(0, deck, 1.0)
    drop = -(shore + 46 - deck)
    start = rng.uniform(-90, 0)
    for step in range(6):
        x = start + step * 132
        pen.rect(x, drop, x + 14, 0, steel)
        pen.line(((x + 7, -34), (x + 46, 0)), steel, 7)
        pen.line(((x + 7, -34), (x - 32, 0)), steel, 7)
    pen.rect(0, -12, SIZE, 2, steel)
    pen.rect(0, 2, SIZE, 7, (80, 52, 44))
    left = rng.uniform(-160, -40) if side < 0 else rng.uniform(90, 200)
    for car in range(3):
        x0 = left + car * 190
        pen.rect(x0, 10, x0 + 182, 10 + height * 0.8, (206, 212, 220))
        pen.rect(x0, 10 + height * 0.14, x0 + 182, 10 + height * 0.24, (38, 92, 190))
        pen.rect(x0, 10 + height * 0.24, x0 + 182, 10 + height * 0.30, (206, 36, 50))
        for window in range(6):
            x = x0 + 10 + window * 29
            pen.lamp(x, 10 + height * 0.38, x + 20, 10 + height * 0.68, (255, 232, 150), (62, 84, 108))
    x = 30 if side < 0 else SIZE - 30
    flag = canvas.pen(x, shore + 40, rng.uniform(0.95, 1.1), flip=side > 0)
    flag.rect(-4, 0, 4, 250, (70, 70, 76))
    flag.rect(4, 176, 124, 250, (250, 250, 250))
    for y in (184, 228):
        flag.rect(4, y, 124, y + 14, (96, 186, 232))
    for star in range(4):
        _star(flag.at(22 + star * 28, 213), (226, 24, 40))


def _star(pen: Pen, color: Color) -> None:
    pen.poly(((0, 13), (11, -7), (-11, -7)), color)
    pen.poly(((0, -13), (11, 7), (-11, 7)), color)


HOUSES: tuple[Color, ...] = (
    (240, 166, 176),
    (150, 206, 190),
    (246, 218, 128),
    (160, 186, 232),
    (224, 190, 232),
    (250, 182, 130),
)


def house(pen: Pen, color: Color, rng: random.Random) -> None:
    """Draw one narrow Victorian house, 80 wide and about 170 high, with bay windows and a gable."""
    trim: Color = (252, 248, 240)
    pen.rect(-38, 0, 38, 118, color)
    pen.poly(((-44, 116), (44, 116), (0, 172)), trim)
    pen.poly(((-32, 119), (32, 119), (0, 160)), color)
    pen.rect(-41, 112, 41, 119, trim)
    pen.rect(-41, 58, 41, 63, trim)
    pen.rect(-30, 10, 4, 110, tuple_mix(color))
    for y in (18, 70):
        for x in (-26, -9):
            pen.lamp(x, y, x + 11, y + 30, LIT if rng.random() < 0.75 else (70, 70, 96), (92, 112, 134))
    pen.rect(12, 0, 32, 42, (122, 62, 48))
    pen.lamp(13, 70, 31, 100, LIT, (92, 112, 134))
    pen.lamp(-7, 124, 7, 142, LIT, (92, 112, 134))


def tuple_mix(color: Color) -> Color:
    """Return a lighter shade of *color* for a bay window's wall."""
    return ((color[0] + 255) // 2, (color[1] + 255) // 2, (color[2] + 255) // 2)


def _sanfrancisco(canvas: Canvas, shore: float, side: int, rng: random.Random) -> None:
    # A street so steep that its houses climb like stairs.
    pen = canvas.pen(SIZE if side > 0 else 0, shore + 30, 1.0, flip=side > 0)
    rise = rng.uniform(0.42, 0.58)
    reach = rng.uniform(290, 340)
    pen.poly(((-10, -10), (reach, -10), (reach - 30, 6), (-10, reach * rise)), (132, 128, 126))
    colors = list(HOUSES)
    rng.shuffle(colors)
    for step in range(4):
        x = reach - 60 - step * 74
        house(pen.at(x, max(0.0, (reach - 60 - x) * rise), 0.92), colors[step], rng)
    pen.poly(((-10, -12), (reach + 40, -12), (reach + 10, 2), (-10, reach * rise * 0.32)), (150, 146, 142))


def _london(canvas: Canvas, shore: float, side: int, rng: random.Random) -> None:
    red: Color = (214, 22, 36)
    pen = _spot(canvas, shore + rng.uniform(54, 76), side, 1.2, rng)
    pen.oval(0, 3, 96, 7, (54, 54, 58))
    pen.rect(-92, 10, 92, 142, red)
    pen.rect(-92, 136, 92, 146, (236, 60, 66))
    for y, h in ((38, 30), (96, 30)):
        for window in range(6):
            x = -84 + window * 28
            pen.lamp(x, y, x + 22, y + h, (255, 228, 150), (148, 186, 208))
    pen.rect(-92, 74, 92, 88, (240, 214, 150))
    pen.rect(-70, 76, 40, 86, (36, 76, 140))
    pen.rect(62, 12, 80, 68, (60, 70, 84))
    wheels(pen, (-56, 44), 18)
    pen.shine(92, 26, 60, (255, 236, 170))


def _sydney(canvas: Canvas, shore: float, side: int, rng: random.Random) -> None:
    pen = canvas.pen(SIZE * 0.5 - side * rng.uniform(150, 200), shore - 28, 0.5, depth=0.3)
    shells(pen)
    green: Color = (16, 104, 66)
    pen = _spot(canvas, shore + rng.uniform(2, 10), side, 1.15, rng)
    pen.poly(((-112, 34), (118, 34), (98, 0), (-96, 0)), green)
    pen.rect(-92, 34, 92, 66, (248, 214, 110))
    pen.rect(-66, 66, 70, 92, (246, 236, 206))
    windows(pen, (-88, 38, 88, 64), (9, 1), rng, 1.0)
    windows(pen, (-62, 70, 66, 90), (7, 1), rng, 1.0)
    pen.rect(-78, 92, 82, 97, green)
    pen.rect(-16, 97, 8, 120, green)
    pen.rect(-112, 28, 116, 34, (250, 226, 130))


def shells(pen: Pen) -> None:
    """Draw the white sails of the opera house on their podium, about 300 wide and 150 high."""
    pen.rect(-170, 0, 170, 24, (176, 136, 108))
    for x, width, height, lean in (
        (60, 84, 86, 50),
        (-10, 100, 122, 60),
        (-92, 96, 150, 66),
        (130, 62, 60, -40),
        (-150, 56, 62, -40),
    ):
        tip = x + lean
        curve = [(x - width * 0.5, 24.0)]
        for step in range(1, 8):
            t = step / 7
            curve.append((x - width * 0.5 + (tip - x + width * 0.5) * t**1.5, 24 + height * (1 - (1 - t) ** 1.9)))
        pen.poly((*curve, (tip - lean * 0.35, 24 + height * 0.45), (x + width * 0.32, 24)), (250, 248, 240))
        pen.poly(
            (
                (tip, 24 + height),
                (tip - lean * 0.35, 24 + height * 0.45),
                (x + width * 0.32, 24),
                (x + width * 0.14, 24),
            ),
            (196, 186, 176),
        )


_PAINTERS: dict[City, Callable[[Canvas, float, int, random.Random], None]] = {
    City.NEWYORK: _newyork,
    City.CHICAGO: _chicago,
    City.SANFRANCISCO: _sanfrancisco,
    City.LONDON: _london,
    City.SYDNEY: _sydney,
}
