"""Post preview: an image of a photo with its caption and hashtags."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from serving.offline.emoji_font import can_draw_emoji, draw_emoji, emoji_width, split_emoji

_SIDE, _TEXT, _MARGIN = 600, 620, 36
_CAPTION_SIZE, _TAGS_SIZE, _FOOTER_SIZE = 30, 22, 15
_MAX_NOTICE_LINES = 6
_LEADING = 1.5
"""Line height, relative to the font size."""
_SCALES = (1.0, 0.85, 0.7, 0.6, 0.5)
"""Font scales: long captions are set in smaller letters."""
_INK, _TAGS, _FOOTER, _PAPER = "#222222", "#2a5db0", "#888888", "#fbfaf7"

_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "‘": "'", "’": "'", "‐": "-", "–": "-", "—": "-", "−": "-", "•": "-", "·": "-"}
)

Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True, slots=True)
class _Paragraph:
    lines: tuple[str, ...]
    size: int
    ink: str

    @property
    def leading(self) -> int:
        return round(self.size * _LEADING)

    @property
    def height(self) -> int:
        return self.leading * len(self.lines)


def draw_post(
    photo: Image.Image, caption: str, hashtags: Sequence[str], notices: Sequence[str], footer: str, out: Path
) -> None:
    """Save an image with *photo* to the left, and caption, hashtags, small *notices* and a *footer* to the right.

    Pillow's own font has English letters only: accents and other scripts are left out of the image. Emoji are drawn
    if their font is installed (`serving.offline.emoji_font`).
    """
    canvas = Image.new("RGB", (_SIDE + _TEXT, _SIDE), _PAPER)
    canvas.paste(ImageOps.pad(photo, (_SIDE, _SIDE), color=_PAPER), (0, 0))
    draw = ImageDraw.Draw(canvas)
    left, top = _SIDE + _MARGIN, _MARGIN
    small_print = _lay_out("\n".join(map(_drawable, notices)), _FOOTER_SIZE, _FOOTER)
    small_print = replace(small_print, lines=small_print.lines[:_MAX_NOTICE_LINES])
    reserved = _FOOTER_SIZE + (small_print.height + _MARGIN // 2 if notices else 0)
    for paragraph in _fit(caption, hashtags, _SIDE - 3 * _MARGIN - reserved):
        font = ImageFont.load_default(paragraph.size)
        for line in paragraph.lines:
            _draw_line(canvas, (left, top), line, paragraph, font)
            top += paragraph.leading
        top += _MARGIN
    font = ImageFont.load_default(_FOOTER_SIZE)
    for number, line in enumerate(small_print.lines):
        _draw_line(canvas, (left, _SIDE - _MARGIN - reserved + number * small_print.leading), line, small_print, font)
    draw.text(
        (left, _SIDE - _MARGIN),
        _drawable(footer),
        fill=_FOOTER,
        font=font,
        anchor="ls",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(out)


def _draw_line(canvas: Image.Image, at: tuple[int, int], line: str, paragraph: _Paragraph, font: Font) -> None:
    left, top = float(at[0]), at[1]
    draw = ImageDraw.Draw(canvas)
    for part, is_emoji in split_emoji(line):
        if is_emoji:
            picture = draw_emoji(part, paragraph.size)
            canvas.paste(picture, (round(left), top), picture)
        else:
            draw.text((left, top), part, fill=paragraph.ink, font=font)
        left += _width(part, font, paragraph.size)


def _width(text: str, font: Font, size: int) -> float:
    """Return the width of *text* in pixels."""
    return sum(emoji_width(size) if is_emoji else font.getlength(part) for part, is_emoji in split_emoji(text))


def _fit(caption: str, hashtags: Sequence[str], room: int) -> tuple[_Paragraph, _Paragraph]:
    """Set both in the largest letters that fit into *room* pixels of height. A caption that never fits is truncated."""
    text = "\n".join(" ".join(_drawable(line).split()) for line in caption.splitlines())
    tags = " ".join(tag for tag in map(_drawable, hashtags) if tag.strip("#"))
    for scale in _SCALES:
        above = _lay_out(text, round(_CAPTION_SIZE * scale), _INK)
        below = _lay_out(tags, round(_TAGS_SIZE * scale), _TAGS)
        remaining = room - _MARGIN - below.height
        if above.height <= remaining:
            return above, below
    shown = above.lines[: max(1, remaining // above.leading)]
    return _Paragraph((*shown[:-1], f"{shown[-1]}..."), above.size, above.ink), below


def _lay_out(text: str, size: int, ink: str) -> _Paragraph:
    font = ImageFont.load_default(size)
    lines = [line for paragraph in text.splitlines() for line in _wrap(paragraph, font, size, _TEXT - 2 * _MARGIN)]
    return _Paragraph(tuple(lines), size, ink)


def _wrap(text: str, font: Font, size: int, width: int) -> list[str]:
    """Break *text* into lines of at most *width* pixels: between words, or within a word that is longer than a line."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if _width(longer, font, size) <= width:
            line = longer
            continue
        lines.append(line)
        line = ""
        for part, is_emoji in split_emoji(word):
            for symbol in [part] if is_emoji else part:
                if _width(line + symbol, font, size) > width:
                    lines.append(line)
                    line = ""
                line += symbol
    return [wrapped for wrapped in (*lines, line) if wrapped]


def _drawable(text: str) -> str:
    """Return *text* reduced to the letters that the font has, and to emoji if they can be drawn."""
    return "".join(
        (part if can_draw_emoji() else "") if is_emoji else _to_ascii(part) for part, is_emoji in split_emoji(text)
    )


def _to_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text.translate(_PLAIN)).encode("ascii", "ignore").decode()
