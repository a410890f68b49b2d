"""Sample grid: photos with their generated captions, as one image."""

import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

from snap2caption.datasets.shards import Sample
from snap2caption.images import decode
from training.data.samples import chunks
from training.evaluation.evaluate import Evaluation, EvaluationRow

PHOTO, WIDTH, MARGIN, COLUMNS = 200, 640, 12, 2
"""Sizes in pixels: a photo's side, a cell's width, the margin; and the number of cells per row."""

# The font ships with matplotlib, and covers Latin, Greek, Cyrillic and some emoji.
FONT = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def choose_rows(evaluation: Evaluation, count: int) -> list[EvaluationRow]:
    """Return *count* rows, evenly spaced from the best to the worst by CIDEr, so that none is cherry-picked."""
    ranked = sorted(evaluation.rows, key=lambda row: (-row.cider, row.id))
    count = min(count, len(ranked))
    return [ranked[index * (len(ranked) - 1) // max(1, count - 1)] for index in range(count)]


def draw_grid(rows: Sequence[EvaluationRow], samples: Sequence[Sample]) -> bytes:
    """Return a PNG with each row's photo next to the model's caption and the reference."""
    photos = {sample.id: sample for sample in samples}
    font = ImageFont.truetype(str(FONT), 13)
    texts = [
        _drawable(f"MODEL (CIDEr {row.cider:.2f})\n{_wrap(row.hypothesis)}\n\nPERSON\n{_wrap(row.reference)}")
        for row in rows
    ]
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    heights = [max(PHOTO, math.ceil(ruler.multiline_textbbox((0, 0), text, font=font)[3])) for text in texts]
    tops = [0]
    for line in chunks(heights, COLUMNS):
        tops.append(tops[-1] + max(line) + 2 * MARGIN)
    grid = Image.new("RGB", (WIDTH * COLUMNS, tops[-1]), "white")
    draw = ImageDraw.Draw(grid)
    for index, (row, text) in enumerate(zip(rows, texts, strict=True)):
        left, top = index % COLUMNS * WIDTH + MARGIN, tops[index // COLUMNS] + MARGIN
        grid.paste(decode(photos[row.id].photo()).resize((PHOTO, PHOTO)), (left, top))
        draw.multiline_text((left + PHOTO + MARGIN, top), text, fill="black", font=font)
    stream = io.BytesIO()
    grid.save(stream, "PNG")
    return stream.getvalue()


def _wrap(text: str) -> str:
    return "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, 52))


def _drawable(text: str) -> str:
    """Remove characters that the font lacks, such as most emoji, which would be drawn as boxes."""
    known = FT2Font(str(FONT)).get_charmap()
    return "".join(character for character in text if character == "\n" or ord(character) in known)
