"""Emoji rendering with the system's Noto Color Emoji: Pillow's own font has no emoji."""

from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from snap2caption.text.segmentation import find_emoji

_FONT_FILES = (
    # Debian's package fonts-noto-color-emoji, which `make install` installs.
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
)

_BITMAP_SIZE = 109
"""The only size of the font's bitmaps, in pixels."""

_HEIGHT = 1.2
"""Height of an emoji, relative to the size of the letters next to it."""


def can_draw_emoji() -> bool:
    """Return whether the font is installed. Without it, emoji are left out."""
    return _font() is not None


def split_emoji(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of *text* in order, each with whether it is an emoji. An emoji and its modifiers are one part."""
    start = 0
    for match in find_emoji(text):
        if match.start() > start:
            yield text[start : match.start()], False
        yield match[0], True
        start = match.end()
    if start < len(text):
        yield text[start:], False


def emoji_width(size: int) -> int:
    """Return the width of an emoji in pixels, next to letters of *size* pixels."""
    return round(_HEIGHT * size)


@lru_cache(maxsize=256)
def draw_emoji(emoji: str, size: int) -> Image.Image:
    """Return *emoji* as a square RGBA image with sides of `emoji_width` pixels.

    The image is empty if the font is not installed or lacks the emoji.
    """
    side = emoji_width(size)
    font = _font()
    if font is None:
        return Image.new("RGBA", (side, side))
    left, top, right, bottom = font.getbbox(emoji)
    picture = Image.new("RGBA", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(picture).text((-left, -top), emoji, font=font, embedded_color=True)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


@cache
def _font() -> ImageFont.FreeTypeFont | None:
    file = next((file for file in _FONT_FILES if Path(file).is_file()), None)
    return ImageFont.truetype(file, _BITMAP_SIZE) if file else None
