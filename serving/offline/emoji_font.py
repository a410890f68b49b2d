"""Emoji in pictures: drawn with the system's Noto Color Emoji, which Pillow's own font lacks."""

from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from snap2caption.text.segmentation import find_emoji

_PLACES = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",  # Debian's fonts-noto-color-emoji, which `make install` installs
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
)

_DRAWN = 109
"""The one size that its bitmaps have."""

_HEIGHT = 1.2
"""Of an emoji, over the size of the letters beside it."""


def can_draw_emoji() -> bool:
    """Whether the font is there; without it, emoji are left out."""
    return _font() is not None


def split_emoji(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the parts of *text* in their order, and whether each is an emoji: one emoji each, with all that belongs to it."""
    start = 0
    for match in find_emoji(text):
        if match.start() > start:
            yield text[start : match.start()], False
        yield match[0], True
        start = match.end()
    if start < len(text):
        yield text[start:], False


def emoji_width(size: int) -> int:
    """Return how wide an emoji is, in pixels, beside letters of *size*."""
    return round(_HEIGHT * size)


@lru_cache(maxsize=256)
def draw_emoji(emoji: str, size: int) -> Image.Image:
    """Return *emoji* as an RGBA picture, a square of `emoji_width` pixels; an empty one where the font is not there or lacks it."""
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
    found = next((place for place in _PLACES if Path(place).is_file()), None)
    return ImageFont.truetype(found, _DRAWN) if found else None
