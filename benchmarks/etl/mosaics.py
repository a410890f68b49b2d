"""Corpus of mosaics: a million distinct photos and captions, assembled from a thousand textured scenes.

A JPEG with restart markers is a sequence of rows that decode on their own. Rows of several photos of one size and
quality, one after the other, are another photo, at the cost of copying them.
"""

import io
import os
import random
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from demo.corpus.pairs import identifier, make_pair
from demo.scenes.render import render
from demo.scenes.scene import City
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member

_SCENES = 1024
_BANDS = 4
SIDE, LEAST_SIDE = 300, 64
_COPIED = 50
"""One pair in so many has the photo of an earlier one, but for one band."""


def write_mosaics(out: Path, pairs: int, quality: int, side: int = SIDE) -> Path:
    """Write a corpus zip of *pairs*, with photos of *side* by *side* pixels, at least `LEAST_SIDE`, in JPEG's *quality*.

    Memory holds 1.2 kB per pair, which is Python's list of the zip's members.
    """
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_scene, range(_SCENES), [quality] * _SCENES, [side] * _SCENES, chunksize=16))
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


def _texture(side: int, seed: int) -> Image.Image:
    """Return random gray waves, the stronger the longer. Scenes alone are so alike that millions of mosaics are copies."""
    rng = np.random.default_rng(seed)
    waves = np.zeros((side, side), np.float32)
    for size in (4, 8, 16, 32):
        noise = Image.fromarray(rng.standard_normal((size, size), np.float32))
        waves += np.asarray(noise.resize((side, side), Image.Resampling.BICUBIC)) / size
    return Image.fromarray((128 + 400 * waves).clip(0, 255).astype(np.uint8)).convert("RGB")


def _scene(number: int, quality: int, side: int) -> tuple[bytes, list[bytes], str]:
    """Return the header of a scene's JPEG, its rows with the markers that end them, and its caption."""
    pair = make_pair(0, number)
    stream = io.BytesIO()
    picture = render(pair.scene, number).resize((side, side), Image.Resampling.LANCZOS)
    Image.blend(picture, _texture(side, number), 0.5).save(stream, "JPEG", quality=quality, restart_marker_rows=1)
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
