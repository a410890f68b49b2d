"""Weather effects: rain, snow and fog in front of everything."""

import random

import numpy as np
from PIL import Image

from demo.scenes.canvas import SIZE, Canvas
from demo.scenes.light import mix
from demo.scenes.scene import Scene, Weather


def draw_weather(canvas: Canvas, scene: Scene, horizon: float, rng: random.Random) -> None:
    """Draw the weather of *scene* over the canvas."""
    if scene.weather is Weather.RAIN:
        _rain(canvas, rng)
    elif scene.weather is Weather.SNOW:
        _snow(canvas, rng)
    elif scene.weather is Weather.FOG:
        _fog(canvas, horizon, rng)


def _rain(canvas: Canvas, rng: random.Random) -> None:
    slant = rng.choice((-1, 1)) * rng.uniform(0.22, 0.42)
    bright = (158, 172, 204) if canvas.light.dark else (226, 234, 246)
    shades = [mix(bright, canvas.light.sky[1], share) for share in (0.0, 0.25, 0.5)]
    line = canvas.draw.line
    for _ in range(rng.randint(170, 220)):
        x, y, length = rng.uniform(-60, SIZE + 60), rng.uniform(-40, SIZE), rng.uniform(34, 72)
        line((x, y, x + slant * length, y + length), fill=rng.choice(shades), width=rng.choice((2, 3, 3)))


def _snow(canvas: Canvas, rng: random.Random) -> None:
    near, far = ((236, 240, 255), (186, 194, 224)) if canvas.light.dark else ((255, 255, 255), (244, 247, 255))
    ellipse = canvas.draw.ellipse
    for _ in range(rng.randint(150, 190)):
        x, y, r = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(3, 6)
        ellipse((x - r, y - r, x + r, y + r), fill=far)
    for _ in range(rng.randint(34, 50)):
        x, y, r = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(6.5, 11)
        ellipse((x - r, y - r, x + r, y + r), fill=near)


def _fog(canvas: Canvas, horizon: float, rng: random.Random) -> None:
    rows = np.arange(SIZE)
    thick = rng.uniform(0.66, 0.76)
    stops = (0, horizon * 0.35, horizon - 20, horizon + 60, SIZE)
    alpha = np.interp(rows, stops, (thick * 0.8, thick * 0.84, thick, thick * 0.8, thick * 0.34))
    # Banks of fog drift across: the veil is thicker and thinner from left to right as well.
    phase, wave = rng.uniform(0, 6.28), rng.uniform(0.6, 1.5)
    small = np.sin(np.linspace(0, 6.28 * wave, 32)[None, :] + phase + np.linspace(0, 3, 32)[:, None])
    mask = np.clip(alpha[:: SIZE // 30][:30, None] * 255 * (1 + 0.16 * small[:30, :30]), 0, 235).astype(np.uint8)
    canvas.image.paste(canvas.light.veil, (0, 0), Image.fromarray(mask).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
