"""Curation within the transform: counted by reason, and the same bytes however the work is done."""

import io
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from contents import files_in
from patience import until
from PIL import Image, ImageFilter, ImageOps

from demo.corpus.archive import write_corpus
from etl.transform import check_slice, merge, plan, transform
from etl.transform.curation.settings import CurationSettings
from etl.transform.preview import preview
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import read_shard
from snap2caption.formats import strict_yaml

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


def test_without_curation_a_version_keeps_its_name(corpus: Path, tmp_path: Path) -> None:
    plain = Manifest.read(transform(corpus, tmp_path, cities=["all"], workers=1))
    assert "curation" not in plain.settings
    assert plain.dropped == {}


def test_the_manifest_names_the_steps_that_ran(version: Path) -> None:
    settings = Manifest.read(version).settings["curation"]
    assert settings == json.loads(SETTINGS.model_dump_json(exclude_none=True))


def test_the_card_draws_what_was_measured(version: Path) -> None:
    card = (version / "card.html").read_text()
    assert "Sharpness: variance of the Laplacian" in card
    assert "min_variance = 30.0" in card
    assert "near_duplicate" in card


def test_a_page_beside_the_version_shows_what_was_rejected(version: Path) -> None:
    page = version.parent / f"rejected-{version.name}.html"
    text = page.read_text()
    for reason in ("caption_length", "language", "low_resolution", "blur", "template", "near_duplicate"):
        assert f"<h2>{reason}: " in text
    assert "Un café por la mañana" in text
    assert text.count("<img") >= 7
    assert "rejected" not in " ".join(file.name for file in Manifest.read(version).files())


def test_a_dry_run_tells_the_same_of_the_whole_corpus(corpus: Path, version: Path, tmp_path: Path) -> None:
    found = preview(corpus, SETTINGS, tmp_path / "new" / "page.html", cities=["all"], workers=2)
    assert found.dropped == Manifest.read(version).dropped
    assert found.sampled == found.pairs == found.kept + sum(found.dropped.values())
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["page.html"]
    rejected = version.parent / f"rejected-{version.name}.html"
    assert (tmp_path / "new" / "page.html").read_text() == rejected.read_text()
    few = preview(corpus, SETTINGS, tmp_path / "few.html", cities=["all"], sample=10, workers=1)
    assert (few.sampled, few.pairs) == (10, found.pairs)


def test_killed_and_run_again_gives_the_same(corpus: Path, version: Path, tmp_path: Path) -> None:
    settings = tmp_path / "curation.yaml"
    settings.write_text(strict_yaml.dump(json.loads(SETTINGS.model_dump_json(exclude_none=True))))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "snap2caption", "transform", str(corpus), "--out", str(out), "--cities", "all"]
    with subprocess.Popen([*command, "--curation", str(settings)], stdout=subprocess.DEVNULL) as process:
        until(lambda: process.poll() is not None or list(out.glob(".work-*/curated.parquet")))
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert files_in(transform(corpus, out, cities=["all"], curation=SETTINGS, workers=2)) == files_in(version)
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == sorted(
        [version.name, f"rejected-{version.name}.html"]
    )
