"""Corpus of mosaics: a million distinct photos and captions, assembled from those of a few hundred rendered scenes.

A JPEG with restart markers is a sequence of rows that decode on their own. Rows of several photos of one size and
quality, one after the other, are another photo, at the cost of copying them.
"""

import io
import os
import random
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from demo.corpus.pairs import identifier, make_pair
from demo.scenes.render import render
from demo.scenes.scene import City
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member

_SCENES = 256
_BANDS = 4
_SIDE = 300
_COPIED = 50
"""One pair in so many has the photo of an earlier one, but for one band."""


def write_mosaics(out: Path, pairs: int, quality: int) -> Path:
    """Write a corpus zip of *pairs*, with photos of 300 by 300 pixels in JPEG's *quality*."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_scene, range(_SCENES), [quality] * _SCENES, chunksize=16))
    header, rows = found[0][0], [rows for _, rows, _ in found]
    captions = [caption.split(" ") for _, _, caption in found]
    cities = [city.value for city in City]
    # Cities are not equally large.
    weights = [1 / (1 + number) for number in range(len(cities))]
    height = len(rows[0])
    bands = [slice(height * band // _BANDS, height * (band + 1) // _BANDS) for band in range(_BANDS)]
    chosen = [0] * _BANDS
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(pairs):
            rng = random.Random(number)
            fresh = rng.choices(range(_SCENES), k=_BANDS)
            chosen = fresh if number % _COPIED else [*chosen[:-1], fresh[-1]]
            photo = b"".join(row for one, band in zip(chosen, bands, strict=True) for row in rows[one][band])
            words = captions[rng.randrange(_SCENES)], captions[rng.randrange(_SCENES)]
            text = " ".join([*words[0], f"No. {number}", *words[1]])
            city, name = rng.choices(cities, weights)[0], identifier(number, rng)
            write_member(archive, image_member(city, name, header + photo))
            write_member(archive, caption_member(city, name, text.encode()))
    return out


def _scene(number: int, quality: int) -> tuple[bytes, list[bytes], str]:
    """Return the header of a scene's JPEG, its rows with the markers that end them, and its caption."""
    pair = make_pair(0, number)
    stream = io.BytesIO()
    picture = render(pair.scene, number).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    picture.save(stream, "JPEG", quality=quality, restart_marker_rows=1)
    data = stream.getvalue()
    scan = data.index(b"\xff\xda")
    start = scan + 2 + int.from_bytes(data[scan + 2 : scan + 4])
    rows = []
    at = start
    while at < len(data):
        marker = data.index(b"\xff", at)
        while data[marker + 1] == 0:
            marker = data.index(b"\xff", marker + 2)
        rows.append(data[at : marker + 2])
        at = marker + 2
    return data[:start], rows, pair.caption.decode()
