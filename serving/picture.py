"""A picture of a photo and its caption side by side."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

_SIDE, _TEXT, _MARGIN = 600, 620, 36
_INK, _TAGS, _PAPER = "#222222", "#2a5db0", "#fbfaf7"


def draw_post(photo: Image.Image, caption: str, hashtags: Sequence[str], footer: str, out: Path) -> None:
    """Save *photo* with its caption and hashtags to the right, and *footer* in small below.

    Pillow's own font draws no emoji, so they are left out of the picture.
    """
    canvas = Image.new("RGB", (_SIDE + _TEXT, _SIDE), _PAPER)
    canvas.paste(ImageOps.pad(photo, (_SIDE, _SIDE), color=_PAPER), (0, 0))
    draw = ImageDraw.Draw(canvas)
    left, top = _SIDE + _MARGIN, _MARGIN
    for text, size, ink in ((caption, 30, _INK), (" ".join(hashtags), 22, _TAGS)):
        font = ImageFont.load_default(size)
        lines = _wrap(_drawable(text), font, _TEXT - 2 * _MARGIN)
        draw.multiline_text((left, top), "\n".join(lines), fill=ink, font=font, spacing=10)
        top += round((size * 1.2 + 10) * len(lines)) + _MARGIN
    small = ImageFont.load_default(15)
    draw.text((left, _SIDE - _MARGIN), footer, fill="#888888", font=small, anchor="ls")
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(out)


def _drawable(text: str) -> str:
    kept = "".join(character if ord(character) < 0x2100 else "" for character in text.replace("’", "'"))
    return "\n".join(" ".join(line.split()) for line in kept.splitlines())


def _wrap(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    letters = max(8, int(width / font.getlength("abcdefghijklmnop eao") * 20))
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, letters) or [""]]
