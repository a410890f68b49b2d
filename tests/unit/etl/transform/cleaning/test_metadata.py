"""Metadata removal: the metadata are gone, and the picture is unchanged."""

import io
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from photo_metadata import ICC, MARK, encode, exif, telling_photos
from photos import real_photos
from PIL import Image

from etl.export import export
from etl.transform import transform
from etl.transform.cleaning.metadata import MetadataKind, drop_metadata
from snap2caption.datasets.manifest import Manifest, PhotoMetadata
from snap2caption.images import decode

pytestmark = pytest.mark.unit

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize((120, 90))
PHOTOS = dict(telling_photos(PICTURE))


def opened(photo: bytes) -> tuple[list[bytes], bytes | None]:
    """Return a file's pictures as they are stored, and its color profile."""
    with Image.open(io.BytesIO(photo)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1) if image.format != "MPO" else 1):
            image.seek(number)
            frames.append(image.mode.encode() + image.tobytes())
        return frames, image.info.get("icc_profile")


@pytest.mark.parametrize("kind", PHOTOS)
def test_nothing_but_the_picture_is_kept_and_it_stays_as_it_was(kind: str) -> None:
    photo = PHOTOS[kind]
    assert MARK in photo or MARK.hex().encode() in photo
    bare, had = drop_metadata(photo)
    assert had is not MetadataKind.NONE
    assert MARK not in bare
    assert MARK.hex().encode() not in bare
    assert b"GPSLatitude" not in bare
    assert opened(bare) == opened(photo)
    # Upright, as training and serving see it.
    assert decode(bare).tobytes() == decode(photo).tobytes()
    assert drop_metadata(bare) == (bare, MetadataKind.NONE)


@pytest.mark.parametrize("kind", ["JPEG EXIF 6", "PNG EXIF 6", "WebP EXIF 5"])
def test_the_color_profile_and_the_orientation_stay(kind: str) -> None:
    bare, had = drop_metadata(PHOTOS[kind])
    assert had is MetadataKind.LOCATION
    with Image.open(io.BytesIO(bare)) as image:
        assert image.info["icc_profile"] == ICC
        assert dict(image.getexif()) == {0x0112: int(kind[-1])}


def test_photos_without_metadata_keep_every_byte() -> None:
    forms: list[tuple[str, dict[str, object]]] = [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"icc_profile": ICC, "restart_marker_blocks": 2}),
        ("PNG", {"icc_profile": ICC}),
        ("WEBP", {}),
        ("WEBP", {"icc_profile": ICC}),
        ("GIF", {"save_all": True, "append_images": [PICTURE.rotate(90)], "loop": 0}),
    ]
    for form, options in forms:
        photo = encode(PICTURE, form, **options)
        assert drop_metadata(photo) == (photo, MetadataKind.NONE)


def test_real_photographs_look_the_same() -> None:
    for path in real_photos():
        photo = path.read_bytes()
        bare, _ = drop_metadata(photo)
        assert opened(bare) == opened(photo)
        assert drop_metadata(bare) == (bare, MetadataKind.NONE)


def test_damaged_files_lose_what_can_be_found_and_raise_nothing() -> None:
    rng = np.random.default_rng(1)
    for photo in PHOTOS.values():
        for _ in range(20):
            broken = bytearray(photo[: rng.integers(1, len(photo))])
            for at in rng.integers(0, len(broken), 3):
                broken[at] = rng.integers(0, 256)
            bare, _ = drop_metadata(bytes(broken))
            assert len(bare) <= len(broken) + 64


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a corpus whose photos tell a place in every way, and one photo again with other metadata."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.zip"
    folder = "cities_instagram/chicago"
    with zipfile.ZipFile(path, "w") as archive:
        for number, photo in enumerate(_photos()):
            archive.writestr(f"img_resized_1M/{folder}/{number:03d}.jpg", photo)
            archive.writestr(f"captions_resized_1M/{folder}/{number:03d}.txt", f"caption number {number}")
    return path


def _photos() -> Iterator[bytes]:
    for number in range(len(PHOTOS)):
        noise = np.random.default_rng(number).integers(0, 255, (9, 12, 3), dtype=np.uint8)
        _, photo = next(islice(telling_photos(Image.fromarray(noise).resize((96, 72))), number, None))
        yield photo
    yield encode(PICTURE, exif=exif(1), quality=85)
    yield encode(PICTURE, comment="another phone's", quality=85)


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_no_place_is_in_what_the_transform_keeps_nor_in_exports(corpus: Path, tmp_path: Path) -> None:
    dataset = transform(corpus, tmp_path / "out", workers=1)
    export(str(dataset), (tmp_path / "plain").as_uri())
    for folder in (dataset, tmp_path / "plain"):
        assert MARK not in everything(folder)
        assert b"GPSLatitude" not in everything(folder)
    manifest = Manifest.read(dataset)
    assert manifest.dropped["duplicate"] == 1  # but for its metadata it is the same file
    assert manifest.metadata is not None
    assert manifest.metadata.photos == len(PHOTOS) + 1
    assert 20 < manifest.metadata.located < manifest.metadata.photos
    told = f"{manifest.metadata.photos} of the photos that are kept came with metadata"
    assert told in (dataset / "card.html").read_text()


def test_metadata_is_kept_when_asked(corpus: Path, tmp_path: Path) -> None:
    bare = transform(corpus, tmp_path / "out", workers=1)
    dataset = transform(corpus, tmp_path / "out", workers=1, keep_metadata=True)
    assert dataset != bare
    export(str(dataset), (tmp_path / "plain").as_uri())
    with zipfile.ZipFile(corpus) as archive:
        photos = {archive.read(name) for name in archive.namelist() if name.endswith(".jpg")}
    assert {file.read_bytes() for file in (tmp_path / "plain").rglob("*.jpg")} == photos
    manifest = Manifest.read(dataset)
    assert manifest.metadata == PhotoMetadata(
        photos=len(PHOTOS) + 2, located=manifest.metadata.located if manifest.metadata else 0
    )
    assert "was kept." in (dataset / "card.html").read_text()
    assert MARK not in (dataset / "card.html").read_bytes()
