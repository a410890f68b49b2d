"""No picture and no words on both sides of a split: planted copies, as people repost them, land where their original
is.
"""

import io
import random
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photos import real_photos
from PIL import Image, ImageEnhance
from spooled import group

from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from etl.transform import transform
from etl.transform.cleaning.picture import hash_picture
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard

pytestmark = pytest.mark.integration

SCENES = 150
DISTINCT = 2000


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def scene(seed: int) -> Image.Image:
    return render(sample_scene(random.Random(seed)), seed)


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, rng: random.Random, most: float = 0.02) -> Image.Image:
    """Take up to 2 % off each side, or up to the share *most*."""
    left, top, right, bottom = (rng.uniform(0, most) for _ in range(4))
    width, height = image.size
    return image.crop((int(left * width), int(top * height), width - int(right * width), height - int(bottom * height)))


COPIES: dict[str, Callable[[Image.Image, random.Random], bytes]] = {
    "encoded again": lambda image, _: jpeg(image, 40),
    "smaller": lambda image, _: jpeg(scaled(image, 0.6)),
    "larger": lambda image, _: jpeg(scaled(image, 1.5)),
    "brighter": lambda image, _: jpeg(ImageEnhance.Brightness(image).enhance(1.2)),
    "darker": lambda image, _: jpeg(ImageEnhance.Brightness(image).enhance(0.8)),
    "more contrast": lambda image, _: jpeg(ImageEnhance.Contrast(image).enhance(1.2)),
    "cropped": lambda image, rng: jpeg(cropped(image, rng)),
    "cropped and scaled back": lambda image, rng: jpeg(cropped(image, rng).resize(image.size)),
    "cropped, brighter, encoded": lambda image, rng: jpeg(
        ImageEnhance.Brightness(cropped(image, rng)).enhance(1.15), 50
    ),
}


@pytest.fixture(scope="module")
def originals() -> list[Image.Image]:
    photos = [Image.open(path).convert("RGB") for path in real_photos()]
    for photo in photos:
        photo.thumbnail((400, 400))
    return photos + [scene(seed) for seed in range(SCENES)]


def test_copies_share_the_split_of_their_original(originals: list[Image.Image], tmp_path: Path) -> None:
    rng = random.Random(0)
    where: dict[str, tuple[int, str]] = {}
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:

        def add(number: int, kind: str, picture: bytes, caption: str) -> None:
            # Ids that say nothing of what belongs together.
            id_ = f"{rng.getrandbits(48):015d}"
            where[id_] = (number, kind)
            archive.writestr(f"img_resized_1M/cities_instagram/chicago/{id_}.jpg", picture)
            archive.writestr(f"captions_resized_1M/cities_instagram/chicago/{id_}.txt", caption)

        for number, image in enumerate(originals):
            add(number, "original", jpeg(image, 92), f"Original words number {number}. #one #two")
            for kind in rng.sample(sorted(COPIES), 3):
                add(number, kind, COPIES[kind](image, rng), f"Seen again, {kind}, the {number}th.")
            # Another picture under the same words, dressed differently.
            repost = jpeg(scene(100_000 + number))
            add(number, "repost", repost, f"@somebody ORIGINAL words, number {number}! https://t.co/x #three")
    dataset = transform(tmp_path / "corpus.zip", tmp_path / "out", cities=["chicago"])
    splits: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for split, summary in Manifest.read(dataset).splits.items():
        for shard in summary.shards:
            for sample in read_shard(dataset / shard.name):
                number, kind = where[sample.id]
                splits[number][kind] = split
    assert sum(map(len, splits.values())) == len(where)
    assert {number: found for number, found in splits.items() if len(set(found.values())) > 1} == {}
    assert {split for found in splits.values() for split in found.values()} == {"train", "validation", "test"}


def test_distinct_scenes_are_hardly_ever_taken_for_copies() -> None:
    groups = grouped([hash_picture(jpeg(scene(seed))) for seed in range(200_000, 200_000 + DISTINCT)])
    # Of two million pairs; the generator does draw scenes again that a person could not tell apart.
    assert DISTINCT - len(set(groups)) <= 5


@pytest.mark.parametrize(("most", "found"), [(0.02, 1.0), (0.03, 0.98), (0.05, 0.8)])
def test_of_larger_crops_most_are_found(originals: list[Image.Image], most: float, found: float) -> None:
    rng = random.Random(1)
    hashes = [hash_picture(jpeg(image)) for image in originals]
    hashes += [hash_picture(jpeg(cropped(image, rng, most), 70)) for image in originals]
    groups = grouped(hashes)
    assert np.mean(np.equal(groups[: len(originals)], groups[len(originals) :])) >= found


def grouped(hashes: list[bytes | RejectionReason]) -> list[int]:
    """The groups of pictures, each under its own words."""
    usable = np.frombuffer(b"".join(each for each in hashes if isinstance(each, bytes)), dtype=np.uint8)
    captions = np.random.default_rng(0).integers(0, 256, (len(hashes), 32), dtype=np.uint8)
    return group(captions, usable.reshape(len(hashes), -1)).tolist()
