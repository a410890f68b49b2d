"""Data augmentation of rendered scenes, as phones and apps alter photos before they are posted."""

import io
import random

from PIL import Image, ImageDraw, ImageEnhance

_SCREEN = 540
"""The width of a screenshot in pixels."""


def augment(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Return *picture* altered in one to three ways, such as cropped and then compressed as JPEG."""
    ways = rng.sample((_resize, _crop, _rotate, _relight, _screenshot, _compress), rng.choice((1, 1, 2, 2, 3)))
    for alter in ways:
        picture = alter(picture, rng)
    return picture if _compress in ways else _compress(picture, rng)


def _resize(picture: Image.Image, rng: random.Random) -> Image.Image:
    factor = rng.uniform(0.4, 3)
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC)


def _crop(picture: Image.Image, rng: random.Random) -> Image.Image:
    width, height = (round(side * rng.uniform(0.8, 1)) for side in picture.size)
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def _rotate(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Rotate by up to 4 degrees, and cut off the corners that this leaves empty."""
    turned = picture.rotate(rng.uniform(-4, 4), Image.Resampling.BICUBIC)
    left, top = round(0.06 * picture.width), round(0.06 * picture.height)
    return turned.crop((left, top, picture.width - left, picture.height - top))


def _relight(picture: Image.Image, rng: random.Random) -> Image.Image:
    brighter = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.85, 1.15))
    return ImageEnhance.Contrast(brighter).enhance(rng.uniform(0.85, 1.15))


def _screenshot(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Show the picture on a phone's screen, over its whole width, with a clock above and buttons below."""
    screen = Image.new("RGB", (_SCREEN, rng.choice((960, 1170))), rng.choice(("white", "black", "#222222")))
    shown = picture.resize((_SCREEN, round(picture.height * _SCREEN / picture.width)))
    top = round((screen.height - shown.height) / 2 + rng.uniform(-0.1, 0.1) * _SCREEN)
    screen.paste(shown, (0, top))
    draw = ImageDraw.Draw(screen)
    draw.text((20, 10), "9:41", fill="gray", font_size=20)
    bottom = top + shown.height
    for left in range(30, 270, 60):
        draw.ellipse((left, bottom + 15, left + 30, bottom + 45), outline="gray", width=3)
    return screen


def _compress(picture: Image.Image, rng: random.Random) -> Image.Image:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=rng.choice((30, 50, 70, 80, 90, 95)))
    return Image.open(content).convert("RGB")
