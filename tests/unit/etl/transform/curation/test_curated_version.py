"""Curation within the transform: counted by reason, and the same bytes however the work is done."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from contents import files_in
from PIL import Image, ImageFilter, ImageOps

from demo.corpus.archive import write_corpus
from etl.transform import check_slice, merge, plan, transform
from etl.transform.curation.settings import CurationSettings
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard

pytestmark = pytest.mark.unit

SETTINGS = CurationSettings.model_validate(
    {
        "length": {"min_words": 3},
        "contacts": {},
        "language": {"keep": ["en"]},
        "size": {"min_side": 150},
        "blur": {"min_variance": 30.0},
        "templates": {"max_posts": 2},
        "near_duplicates": {},
        "resize": {"max_side": 256},
    }
)


def encoded(image: Image.Image, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=quality)
    return stream.getvalue()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered scenes, and some pairs of which each has one fault."""
    path = write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.zip", 60, 3)
    with zipfile.ZipFile(path) as archive:
        photos = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    scenes = [Image.open(io.BytesIO(photo)) for photo in photos[:8]]
    bad = {
        "short": (scenes[0], "Morning"),
        "foreign": (scenes[1], "Un café por la mañana con vistas al puente viejo"),
        "small": (scenes[2].resize((140, 140)), "A quiet morning by the old bridge"),
        "blurred": (scenes[3].filter(ImageFilter.GaussianBlur(12)), "A quiet evening by the old bridge"),
        "mirrored": (ImageOps.mirror(scenes[4]), "A quiet afternoon by the old bridge"),
        **{
            f"template{day}": (Image.effect_noise((300, 300 + day), 90), f"Day {day} of 365, coffee")
            for day in range(4)
        },
        "contact": (Image.effect_noise((310, 280), 80), "Prints at ana@example.org as always, my friends"),
    }
    with zipfile.ZipFile(path, "a") as archive:
        for name, (image, caption) in bad.items():
            write_member(archive, image_member("newyork", f"zz-{name}", encoded(image), "jpg"))
            write_member(archive, caption_member("newyork", f"zz-{name}", caption.encode()))
    return path


@pytest.fixture(scope="module")
def version(corpus: Path) -> Path:
    return transform(corpus, corpus.parent / "out", cities=["all"], curation=SETTINGS, workers=2)


def test_each_fault_is_counted_for_its_reason(corpus: Path, version: Path) -> None:
    dropped = Manifest.read(version).dropped
    expected = {"caption_length": 1, "language": 1, "low_resolution": 1, "blur": 1, "template": 2}
    assert {reason: dropped.get(reason) for reason in expected} == expected
    assert dropped["near_duplicate"] >= 1
    samples = {
        sample.id: sample
        for split in Manifest.read(version).splits.values()
        for shard in split.shards
        for sample in read_shard(version / shard.name)
    }
    assert sorted(id_ for id_ in samples if id_.startswith("zz-")) == ["zz-contact", "zz-template0", "zz-template1"]
    assert samples["zz-contact"].post.caption == "Prints at as always, my friends"
    for sample in samples.values():
        with Image.open(io.BytesIO(sample.photo())) as image:
            assert max(image.size) <= 256
    with zipfile.ZipFile(corpus) as archive:
        pairs = sum(name.endswith(".jpg") for name in archive.namelist())
    assert len(samples) + sum(dropped.values()) == pairs


def test_slices_and_workers_do_not_change_the_bytes(corpus: Path, version: Path, tmp_path: Path) -> None:
    planned = plan(corpus, tmp_path, cities=["all"], curation=SETTINGS, slice_pairs=30)
    for number in reversed(range(planned.slices)):
        check_slice(planned.work, number, workers=1)
    assert files_in(merge(planned.work, workers=1)) == files_in(version)


def test_without_curation_a_version_has_the_name_that_it_always_had(corpus: Path, tmp_path: Path) -> None:
    plain = Manifest.read(transform(corpus, tmp_path, cities=["all"], workers=1))
    assert "curation" not in plain.settings
    assert plain.dropped == {}


def test_the_manifest_names_the_steps_that_ran(version: Path) -> None:
    settings = Manifest.read(version).settings["curation"]
    assert settings == json.loads(SETTINGS.model_dump_json(exclude_none=True))
