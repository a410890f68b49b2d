"""Sky: gradient, sun, moon, stars and clouds."""

import random

import numpy as np
from PIL import Image

from demo.scenes.canvas import SIZE, Canvas
from demo.scenes.light import Color, mix
from demo.scenes.scene import Scene, Time, Weather


def draw_sky(canvas: Canvas, scene: Scene, horizon: float, rng: random.Random) -> None:
    """Fill the canvas with the sky of *scene*; the colors at the bottom end at *horizon* (canvas y)."""
    _gradient(canvas, horizon, rng)
    _lights(canvas, scene, horizon, rng)
    _clouds(canvas, scene, horizon, rng)


def _gradient(canvas: Canvas, horizon: float, rng: random.Random) -> None:
    top, middle, bottom = canvas.light.sky
    bend = horizon * rng.uniform(0.42, 0.68)
    jitter = np.array([rng.uniform(-9, 9) for _ in range(3)])
    rows = np.arange(SIZE)
    column = np.stack([np.interp(rows, (0, bend, horizon), (top[c], middle[c], bottom[c])) for c in range(3)], axis=1)
    column = np.clip(column + jitter, 0, 255).astype(np.uint8)
    canvas.image.paste(Image.fromarray(column[:, None, :]).resize((SIZE, SIZE), Image.Resampling.NEAREST))


def _lights(canvas: Canvas, scene: Scene, horizon: float, rng: random.Random) -> None:
    draw, covered = canvas.draw, scene.weather is not Weather.CLEAR
    if scene.time is Time.NIGHT:
        if scene.weather in {Weather.CLEAR, Weather.SNOW}:
            for _ in range(rng.randint(45, 80)):
                x, y, r = rng.uniform(0, SIZE), rng.uniform(0, horizon * 0.85), rng.uniform(0.8, 2.4)
                draw.ellipse((x - r, y - r, x + r, y + r), fill=(235, 235, 255))
        if scene.weather is not Weather.RAIN:
            _moon(canvas, rng.uniform(60, 540), rng.uniform(50, 130), rng.uniform(22, 34), rng)
    elif scene.time is Time.DAY:
        if not covered:
            x, y, r = rng.uniform(60, 540), rng.uniform(40, 110), rng.uniform(26, 40)
            canvas.glow(x, y, 120, (255, 255, 225), 190)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 205))
    else:
        low = scene.time is Time.SUNRISE
        x = rng.uniform(40, 190) if low else rng.uniform(410, 560)
        y, r = horizon - rng.uniform(30, 105), rng.uniform(34, 48)
        glow, disc = ((255, 244, 214), (255, 250, 224)) if low else ((255, 214, 70), (255, 92, 28))
        if covered:
            disc = mix(disc, canvas.light.horizon, 0.35)
        canvas.glow(x, y, 224, glow, 170 if covered else 235)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=disc)


def _moon(canvas: Canvas, x: float, y: float, r: float, rng: random.Random) -> None:
    canvas.glow(x, y, 96, (150, 160, 215), 120)
    canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=(246, 242, 214))
    for _ in range(3):
        cx, cy, c = x + rng.uniform(-0.5, 0.5) * r, y + rng.uniform(-0.5, 0.5) * r, r * rng.uniform(0.12, 0.22)
        canvas.draw.ellipse((cx - c, cy - c, cx + c, cy + c), fill=(222, 216, 188))


def _clouds(canvas: Canvas, scene: Scene, horizon: float, rng: random.Random) -> None:
    if scene.weather is Weather.FOG:
        return
    top, middle, bottom = canvas.light.sky
    if scene.weather is Weather.RAIN:
        dark = mix(top, (48, 52, 64), 0.55)
        for _ in range(rng.randint(5, 7)):
            _cloud(
                canvas,
                rng.uniform(0, SIZE),
                rng.uniform(0, horizon * 0.28),
                rng.uniform(70, 130),
                mix(dark, middle, rng.uniform(0, 0.35)),
                rng,
            )
        return
    colors: dict[Time, Color] = {
        Time.SUNRISE: (255, 206, 222),
        Time.DAY: (255, 255, 255),
        Time.SUNSET: (250, 128, 84),
        Time.NIGHT: (34, 38, 76),
    }
    color = colors[scene.time]
    if scene.weather is Weather.SNOW:
        color = mix(color, (236, 238, 244) if scene.time is not Time.NIGHT else (66, 70, 98), 0.6)
    count = rng.randint(1, 4) if scene.weather is Weather.CLEAR else rng.randint(2, 4)
    for _ in range(count):
        y = rng.uniform(20, horizon * 0.62)
        _cloud(
            canvas, rng.uniform(-20, SIZE + 20), y, rng.uniform(30, 75), mix(color, bottom, rng.uniform(0.0, 0.3)), rng
        )


def _cloud(canvas: Canvas, x: float, y: float, size: float, color: Color, rng: random.Random) -> None:
    for _ in range(rng.randint(4, 7)):
        cx, cy = x + rng.uniform(-1.3, 1.3) * size, y + rng.uniform(-0.22, 0.22) * size
        rx, ry = size * rng.uniform(0.5, 0.95), size * rng.uniform(0.2, 0.36)
        canvas.draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=color)
