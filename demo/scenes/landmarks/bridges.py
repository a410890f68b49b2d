"""Suspension bridges and big wheels, which several cities share."""

import math

from demo.scenes.canvas import Pen, Point
from demo.scenes.light import Color


def suspension(pen: Pen, towers: tuple[float, float], top: float, deck: float, color: Color, thickness: float) -> None:
    """Draw the cables, hangers and deck of a bridge that runs through the picture.

    Args:
        pen: stands at the water line.
        towers: x of both towers.
        top: height of the towers.
        deck: height of the deck.
        color: of everything.
        thickness: of the main cable.
    """
    left, right = towers
    middle, half = (left + right) / 2, (right - left) / 2
    for start, end in ((left - 2 * half, left), (left, right), (right, right + 2 * half)):
        center = middle if start == left else (start if end == left else end)
        reach = half if start == left else 2 * half
        cable: list[Point] = []
        for step in range(17):
            x = start + (end - start) * step / 16
            y = deck + 10 + (top - deck - 10) * min(1.0, abs(x - center) / reach) ** 2
            cable.append((x, y))
            pen.line(((x, deck), (x, y)), color, 1.6)
        pen.line(cable, color, thickness)
    pen.rect(left - 2 * half, deck - 9, right + 2 * half, deck + 3, color)


def wheel(pen: Pen, radius: float, hub: float, rim: Color, spokes: int, width: float) -> list[Point]:
    """Draw a big wheel's rim and spokes around (0, *hub*); return where its cabins hang."""
    places = [
        (radius * math.cos(2 * math.pi * k / spokes), hub + radius * math.sin(2 * math.pi * k / spokes))
        for k in range(spokes)
    ]
    for x, y in places:
        pen.line(((0, hub), (x, y)), rim, 2)
    pen.ring(0, hub, radius, rim, width)
    pen.ring(0, hub, radius * 0.9, rim, width * 0.5)
    pen.oval(0, hub, 9, 9, rim)
    return places
