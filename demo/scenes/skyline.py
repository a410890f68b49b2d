"""Skylines: each city's silhouette at the horizon."""

import random
from collections.abc import Callable

from demo.scenes.canvas import SIZE, Canvas, Pen
from demo.scenes.light import Color
from demo.scenes.scene import City

LIT: Color = (255, 214, 120)
GLASS: Color = (176, 204, 224)


def windows(
    pen: Pen, box: tuple[float, float, float, float], grid: tuple[int, int], rng: random.Random, share: float = 0.6
) -> None:
    """Draw a grid of (columns, rows) windows inside *box* (x0, y0, x1, y1); after dark *share* of them are lit."""
    (x0, y0, x1, y1), (columns, rows) = box, grid
    step_x, step_y = (x1 - x0) / columns, (y1 - y0) / rows
    dark = pen.canvas.light.dark
    for row in range(rows):
        for column in range(columns):
            if rng.random() < share:
                x, y = x0 + (column + 0.25) * step_x, y0 + (row + 0.25) * step_y
                pen.lamp(
                    x, y, x + step_x * 0.5, y + step_y * 0.55, LIT if rng.random() < 0.85 else (190, 220, 255), GLASS
                )
            elif not dark:
                continue


def draw_skyline(canvas: Canvas, city: City, base: float, scale: float, rng: random.Random) -> None:
    """Draw the skyline of *city* standing at *base* (canvas y)."""
    _PAINTERS[city](canvas, base, scale, rng)


def _blocks(
    canvas: Canvas,
    base: float,
    scale: float,
    rng: random.Random,
    colors: tuple[Color, ...],
    widths: tuple[float, float],
    heights: tuple[float, float],
) -> None:
    """Draw a row of plain buildings from left to right."""
    x = rng.uniform(-30.0, 0.0)
    while x < SIZE:
        width, height = rng.uniform(*widths) * scale, rng.uniform(*heights) * scale
        pen = canvas.pen(x, base, depth=rng.uniform(0.55, 0.95))
        pen.rect(0, 0, width, height, rng.choice(colors))
        columns, rows = max(2, int(width / 15)), max(2, int(height / 22))
        windows(pen, (3, 6, width - 3, height - 3), (columns, rows), rng, 0.5)
        if rng.random() < 0.25:
            pen.rect(width * 0.4, height, width * 0.6, height + 12, (90, 80, 74))
        x += width * rng.uniform(0.9, 1.15)


def _newyork(canvas: Canvas, base: float, scale: float, rng: random.Random) -> None:
    brick = ((142, 96, 78), (168, 128, 102), (116, 112, 120), (150, 146, 150), (104, 86, 84))
    _blocks(canvas, base, scale, rng, brick, (30, 54), (80, 190))
    # The tapering glass tower of downtown, and a water tank on a roof.
    pen = canvas.pen(rng.uniform(120, 480), base, scale, depth=0.6)
    pen.poly(((-26, 0), (26, 0), (14, 215), (-14, 215)), (120, 164, 200))
    pen.poly(((0, 0), (26, 0), (14, 215)), (92, 136, 178))
    pen.line(((0, 215), (0, 285)), (190, 200, 210), 4)
    pen = canvas.pen(rng.uniform(40, 560), base, scale, depth=0.35)
    pen.rect(-30, 0, 30, 96, (136, 78, 60))
    windows(pen, (-26, 8, 26, 92), (4, 4), rng)
    for x in (-12, 12):
        pen.line(((x, 96), (x, 112)), (70, 56, 46), 3)
    pen.rect(-17, 110, 17, 138, (128, 88, 56))
    pen.poly(((-20, 138), (20, 138), (0, 154)), (92, 66, 48))


def _chicago(canvas: Canvas, base: float, scale: float, rng: random.Random) -> None:
    steel = ((58, 64, 76), (84, 92, 106), (196, 190, 178), (110, 118, 130))
    _blocks(canvas, base, scale, rng, steel, (44, 80), (60, 150))
    # A black tapering tower with crossed braces, and the twin round towers with scalloped floors.
    x = rng.uniform(80, 520)
    pen = canvas.pen(x, base, scale, depth=0.45)
    pen.poly(((-36, 0), (36, 0), (22, 205), (-22, 205)), (38, 40, 48))
    for low, high, wide, slim in ((0, 70, 36, 31), (70, 140, 31, 26), (140, 205, 26, 22)):
        pen.line(((-wide, low), (slim, high)), (122, 126, 136), 3)
        pen.line(((wide, low), (-slim, high)), (122, 126, 136), 3)
    pen = canvas.pen((x + rng.uniform(150, 420)) % SIZE, base, scale, depth=0.45)
    for x in (-26, 26):
        pen.rect(x - 18, 0, x + 18, 140, (214, 206, 190))
        for floor in range(10):
            pen.rect(x - 21, 8 + floor * 13, x + 21, 13 + floor * 13, (120, 112, 102))


def _sanfrancisco(canvas: Canvas, base: float, scale: float, rng: random.Random) -> None:
    for _ in range(3):
        x, w, h = rng.uniform(-40, 640), rng.uniform(150, 260), rng.uniform(60, 120)
        canvas.pen(x, base, scale, depth=0.85).poly(
            ((-w, 0), (-w * 0.5, h * 0.7), (0, h), (w * 0.55, h * 0.6), (w, 0)), (112, 138, 96)
        )
    _blocks(canvas, base, scale, rng, ((226, 214, 200), (206, 196, 190), (180, 184, 192)), (34, 60), (40, 100))
    # The white pyramid, and the round tower on its hill.
    pen = canvas.pen(rng.uniform(110, 490), base, scale, depth=0.4)
    pen.poly(((-38, 0), (38, 0), (0, 250)), (238, 236, 230))
    pen.poly(((0, 0), (38, 0), (0, 250)), (206, 204, 202))
    for step in range(1, 8):
        half = 38 * (1 - step / 10)
        pen.line(((-half, step * 24), (half, step * 24)), (130, 136, 146), 2)
        if step % 2:
            pen.lamp(-half * 0.7, step * 24 + 4, half * 0.7, step * 24 + 12, LIT, (176, 186, 198))


def _london(canvas: Canvas, base: float, scale: float, rng: random.Random) -> None:
    _blocks(canvas, base, scale, rng, ((156, 116, 92), (186, 168, 142), (132, 124, 120)), (40, 70), (36, 84))
    spots = [90, 240, 380, 520]
    rng.shuffle(spots)
    pen = canvas.pen(spots[0], base, scale, depth=0.45)  # the great dome
    pen.rect(-52, 0, 52, 60, (206, 200, 186))
    pen.rect(-32, 60, 32, 84, (216, 210, 196))
    pen.oval(0, 84, 32, 40, (150, 164, 168))
    pen.rect(-6, 120, 6, 142, (216, 210, 196))
    pen.line(((0, 142), (0, 160)), (220, 190, 90), 3)
    canvas.pen(spots[1], base, scale, depth=0.5).poly(
        ((-34, 0), (34, 0), (3, 240), (-3, 226)), (166, 190, 208)
    )  # the glass shard
    pen = canvas.pen(spots[2], base, scale, depth=0.5)  # the glass egg
    pen.oval(0, 74, 32, 82, (84, 116, 132))
    for step in range(-2, 4):
        pen.line(((-30, 60 + step * 22), (30, 84 + step * 22)), (156, 186, 196), 2)


def _sydney(canvas: Canvas, base: float, scale: float, rng: random.Random) -> None:
    _blocks(canvas, base, scale, rng, ((168, 184, 198), (206, 204, 200), (130, 148, 168)), (40, 64), (50, 130))
    pen = canvas.pen(rng.uniform(150, 450), base, scale, depth=0.4)  # the golden turret on its thin shaft
    pen.rect(-5, 0, 5, 200, (190, 176, 140))
    pen.poly(((-14, 178), (14, 178), (26, 204), (-26, 204)), (218, 170, 62))
    pen.rect(-24, 204, 24, 222, (226, 182, 74))
    pen.line(((0, 222), (0, 262)), (190, 190, 190), 4)


_PAINTERS: dict[City, Callable[[Canvas, float, float, random.Random], None]] = {
    City.NEWYORK: _newyork,
    City.CHICAGO: _chicago,
    City.SANFRANCISCO: _sanfrancisco,
    City.LONDON: _london,
    City.SYDNEY: _sydney,
}
