"""Canvas, and pens that draw on it in an object's own coordinates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from demo.scenes.light import Color, Light

SIZE = 600
"""Width and height of the drawing; the picture is half of that, which smooths the edges."""

Point = tuple[float, float]


@lru_cache(maxsize=32)
def soft_disc(size: int, strength: int) -> Image.Image:
    """Return a mask of *size* x *size* pixels that fades from *strength* (0 to 255) in its middle to nothing."""
    axis = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    distance = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    return Image.fromarray((np.clip(1.0 - distance, 0.0, 1.0) ** 1.6 * strength).astype(np.uint8))


class Canvas:
    """The picture and its light."""

    def __init__(self, light: Light) -> None:
        self.light = light
        self.image = Image.new("RGB", (SIZE, SIZE))
        self.draw = ImageDraw.Draw(self.image)

    def pen(self, x: float, y: float, scale: float = 1.0, *, flip: bool = False, depth: float = 0.0) -> "Pen":
        """Return a pen whose origin is at (*x*, *y*) of the canvas; its y axis points up."""
        return Pen(self, x, y, -scale if flip else scale, scale, depth)

    def glow(self, x: float, y: float, radius: int, color: Color, strength: int = 150) -> None:
        """Add a soft disc of light."""
        # A few sizes only, so that the masks are made once.
        size = max(16, radius * 2 // 16 * 16)
        self.image.paste(color, (int(x) - size // 2, int(y) - size // 2), soft_disc(size, strength))


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws shapes given in an object's own coordinates (y up, the origin where it stands), in the picture's light."""

    canvas: Canvas
    x: float
    y: float
    across: float
    scale: float
    depth: float

    def at(self, x: float, y: float, scale: float = 1.0) -> "Pen":
        """Return a pen for a part at (*x*, *y*) of this object."""
        return replace(
            self,
            x=self.x + x * self.across,
            y=self.y - y * self.scale,
            across=self.across * scale,
            scale=self.scale * scale,
        )

    def shade(self, color: Color) -> Color:
        """Return *color* in the picture's light at this pen's depth."""
        return self.canvas.light.shade(color, self.depth)

    def points(self, points: Iterable[Point]) -> list[Point]:
        """Return *points* in the canvas's coordinates."""
        x, y, across, scale = self.x, self.y, self.across, self.scale
        return [(x + px * across, y - py * scale) for px, py in points]

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        left, right = self.x + x0 * self.across, self.x + x1 * self.across
        if left > right:
            left, right = right, left
        return (left, self.y - y1 * self.scale, right, self.y - y0 * self.scale)

    def poly(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon."""
        self.canvas.draw.polygon(self.points(points), fill=self.shade(color))

    def rect(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        """Fill a rectangle; y0 is its lower edge."""
        self.canvas.draw.rectangle(self._box(x0, y0, x1, y1), fill=self.shade(color))

    def oval(self, x: float, y: float, rx: float, ry: float, color: Color) -> None:
        """Fill an ellipse around (x, y)."""
        self.canvas.draw.ellipse(self._box(x - rx, y - ry, x + rx, y + ry), fill=self.shade(color))

    def ring(self, x: float, y: float, radius: float, color: Color, width: float) -> None:
        """Draw a circle's outline."""
        box = self._box(x - radius, y - radius, x + radius, y + radius)
        self.canvas.draw.ellipse(box, outline=self.shade(color), width=max(1, round(width * self.scale)))

    def line(self, points: Sequence[Point], color: Color, width: float = 2.0) -> None:
        """Draw a line through *points*."""
        self.canvas.draw.line(self.points(points), fill=self.shade(color), width=max(1, round(width * self.scale)))

    def lamp(self, x0: float, y0: float, x1: float, y1: float, color: Color, unlit: Color = (150, 175, 195)) -> None:
        """Fill a window or lamp: *color* when it is dark outside, *unlit* by day."""
        light = self.canvas.light
        fill = light.shade(unlit, self.depth) if not light.dark else color
        self.canvas.draw.rectangle(self._box(x0, y0, x1, y1), fill=fill)

    def shine(self, x: float, y: float, radius: float, color: Color, strength: int = 150) -> None:
        """Add a glow when it is dark outside."""
        if self.canvas.light.dark:
            self.canvas.glow(
                self.x + x * self.across, self.y - y * self.scale, int(radius * self.scale), color, strength
            )
