import io
import json
import random
import stat
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from demo.corpus.archive import traps_path, write_corpus
from etl.transform import transform
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.shards import Sample, read_shard
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

PAIRS = 120


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.zip", PAIRS, 0, traps=True)


@pytest.fixture(scope="module")
def dataset(corpus: Path) -> Path:
    return transform(corpus, corpus.parent / "out", source_urls=["http://example.com/corpus.zip"])


def samples(dataset: Path) -> Iterator[tuple[str, Sample]]:
    for split, summary in Manifest.read(dataset).splits.items():
        for shard in summary.shards:
            for sample in read_shard(dataset / shard.name):
                yield split, sample


def trapped(corpus: Path, trap: str) -> set[str]:
    return {Path(member).stem for member in json.loads(traps_path(corpus).read_text())[trap]}


def test_every_trap_is_dropped_for_its_own_reason(corpus: Path, dataset: Path) -> None:
    manifest = Manifest.read(dataset)
    kept = {sample.id for _, sample in samples(dataset)}
    bad = [
        "missing_caption",
        "missing_image",
        "empty_caption",
        "undecodable_caption",
        "truncated_image",
        "corrupt_image",
        "odd_dimensions",
    ]
    for trap in bad:
        assert manifest.dropped[trap] == len(trapped(corpus, trap)) == 3
        assert not kept & trapped(corpus, trap)
    assert manifest.dropped["duplicate"] == 3
    assert not kept & trapped(corpus, "exact_duplicate")
    assert manifest.dropped["unsafe_path"] == len(json.loads(traps_path(corpus).read_text())["unsafe_path"])
    for trap in ("near_duplicate", "repost", "odd_case"):
        assert kept >= trapped(corpus, trap)
    with zipfile.ZipFile(corpus) as archive:
        unsafe = json.loads(traps_path(corpus).read_text())["unsafe_path"]
        photos = [name for name in archive.namelist() if name.endswith(".jpg") and name not in unsafe]
    dropped = sum(count for reason, count in manifest.dropped.items() if reason not in {"missing_image", "unsafe_path"})
    assert len(kept) == len(photos) - dropped


def test_copies_share_a_split(corpus: Path, dataset: Path) -> None:
    split_of = {sample.id: split for split, sample in samples(dataset)}
    group_of = {sample.id: sample.group for _, sample in samples(dataset)}
    rows = [json.loads(line) for line in corpus.with_name("corpus.zip.scenes.jsonl").read_text().splitlines()]
    copies = [(row["id"], row["copy_of"]) for row in rows if row.get("copy_of") in split_of and row["id"] in split_of]
    assert len(copies) == 6
    assert all(split_of[copy] == split_of[original] for copy, original in copies)
    # Which belong together travels in the shards, under the id of one of them.
    assert all(group_of[copy] == group_of[original] for copy, original in copies)
    assert set(group_of.values()) <= group_of.keys()
    assert len(set(group_of.values())) > len(group_of) / 2


def test_photos_are_the_corpus_own_bytes(corpus: Path, dataset: Path) -> None:
    with zipfile.ZipFile(corpus) as archive:
        by_id = {Path(name).stem: name for name in archive.namelist() if name.endswith(".jpg")}
        for _, sample in samples(dataset):
            assert sample.photo() == archive.read(by_id[sample.id])


def test_captions_are_clean_and_the_table_counts_train(dataset: Path) -> None:
    found = list(samples(dataset))
    assert all("#" not in sample.post.caption and "http" not in sample.post.caption for _, sample in found)
    table = pq.read_table(dataset / "hashtags.parquet").to_pylist()
    uses = sum(len(sample.post.hashtags) for split, sample in found if split == "train")
    assert sum(row["count"] for row in table) == uses
    assert all(sum(city["count"] for city in row["cities"]) == row["count"] for row in table)


def test_the_same_bytes_from_any_number_of_workers(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    other = transform(corpus, tmp_path, workers=1, source_urls=["http://example.com/corpus.zip"])
    assert other.name == dataset.name
    names = sorted(file.name for file in dataset.iterdir())
    assert names == sorted(file.name for file in other.iterdir())
    assert all((dataset / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_again_is_the_same_version_without_work(corpus: Path, dataset: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in dataset.iterdir()}
    seen: list[int] = []
    assert transform(corpus, dataset.parent, on_progress=lambda done, _: seen.append(done)) == dataset
    assert not seen
    assert {file: file.stat().st_mtime_ns for file in dataset.iterdir()} == before


def test_an_earlier_version_keeps_its_assignments(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    later = transform(corpus, tmp_path, seed=99, previous=dataset)
    before = {sample.id: split for split, sample in samples(dataset)}
    assert {sample.id: split for split, sample in samples(later)} == before
    assert later.name != dataset.name


def test_what_was_in_test_is_remembered_over_a_version(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    narrow = transform(corpus, tmp_path, cities=["Chicago"], previous=dataset / "manifest.json")
    assert {sample.city for _, sample in samples(narrow)} == {"chicago"}
    later = transform(corpus, tmp_path, seed=5, previous=narrow)
    assert {sample.id: split for split, sample in samples(later)} == {
        sample.id: split for split, sample in samples(dataset)
    }


def test_an_earlier_version_that_is_not_whole_is_one_sentence(corpus: Path, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes((dataset / "manifest.json").read_bytes())
    with pytest.raises(UserError, match="copy its whole folder"):
        transform(corpus, tmp_path / "out", previous=tmp_path)


def test_the_card_shows_pictures(dataset: Path) -> None:
    card = (dataset / "card.html").read_text()
    assert card.count("data:image/jpeg;base64,") >= 20
    for twins in ("The same picture", "Nearly the same picture", "The same words"):
        assert twins in card
    assert card.count('class="twins"') >= 6
    assert "The tail of the hashtags" in card
    assert "<script" not in card


def test_hostile_members_are_counted_not_followed(tmp_path: Path) -> None:
    photo = b"no photo"
    link = zipfile.ZipInfo("img_resized_1M/cities_instagram/chicago/3.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "hostile.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../img_resized_1M/cities_instagram/chicago/1.jpg", photo)
        archive.writestr("/img_resized_1M/cities_instagram/chicago/2.jpg", photo)
        archive.writestr(link, "/etc/passwd")
        archive.writestr("captions_resized_1M/cities_instagram/chicago/4.txt", "a" * 60_000)
        archive.writestr("captions_resized_1M/cities_instagram/chicago/5.txt", "bomb" * 200_000)
    with pytest.raises(UserError, match="oversized 2, unsafe_path 3"):
        transform(tmp_path / "hostile.zip", tmp_path / "out")
    assert not list((tmp_path / "out").glob("[!.]*"))


def test_short_captions_do_not_tie_pictures_together(tmp_path: Path) -> None:
    """As people post: half of the captions are a word or two, and some pictures come again under any of them."""
    rng = random.Random(0)
    everyday = ["NYC", "New York", "❤️", "Good morning", "Sunday", "Mood", "おはよう", "Доброе утро"]
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for number in range(300):
            noise = np.random.default_rng(number % 280).integers(0, 255, (8, 8, 3), dtype=np.uint8)
            stream = io.BytesIO()
            picture = Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC)
            picture.save(stream, "JPEG", quality=85 if number < 280 else 50)
            words = (
                rng.choice(everyday)
                if rng.random() < 0.5
                else f"What we saw on our walk along the river, number {number}"
            )
            archive.writestr(f"img_resized_1M/cities_instagram/chicago/{number:03d}.jpg", stream.getvalue())
            archive.writestr(f"captions_resized_1M/cities_instagram/chicago/{number:03d}.txt", words)
    dataset = transform(tmp_path / "corpus.zip", tmp_path / "out", workers=1)
    found = {sample.id: (split, sample.group) for split, sample in samples(dataset)}
    assert Counter(split for split, _ in found.values()) == {"train": 240, "validation": 30, "test": 30}
    assert max(Counter(group for _, group in found.values()).values()) == 2
    assert all(found[f"{number:03d}"] == found[f"{number - 280:03d}"] for number in range(280, 300))
    assert "warning" not in (dataset / "card.html").read_text().split("</style>")[1]


def test_a_phones_photo_shares_its_upright_copys_group(tmp_path: Path) -> None:
    """All eight orientations of EXIF, and mirrored copies."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation to the Pillow transposition that stores it
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for number in range(16):
            noise = np.random.default_rng(number).integers(0, 255, (12, 12, 3), dtype=np.uint8)
            picture = Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)
            for orientation in range(1, 9):
                stored, exif, stream = picture, Image.Exif(), io.BytesIO()
                if orientation > 1:
                    stored = picture.transpose(Image.Transpose(undo[orientation]))
                # Half of them say how they lie, the others are mirrored or turned for good.
                exif[0x0112] = orientation if number % 2 else 1
                stored.save(stream, "JPEG", quality=88 - orientation, exif=exif)
                id_ = f"{orientation}{number:02d}"
                archive.writestr(f"img_resized_1M/cities_instagram/chicago/{id_}.jpg", stream.getvalue())
                archive.writestr(f"captions_resized_1M/cities_instagram/chicago/{id_}.txt", f"caption {id_}")
    dataset = transform(tmp_path / "corpus.zip", tmp_path / "out", workers=1)
    found = {sample.id: (split, sample.group) for split, sample in samples(dataset)}
    assert len(found) == 128
    assert all(found[id_] == found[f"1{id_[1:]}"] for id_ in found)
    assert len({group for _, group in found.values()}) == 16


def test_a_split_that_stays_empty_is_told(tmp_path: Path) -> None:
    """By the command, and by the card."""
    corpus = write_corpus(tmp_path / "corpus.zip", 4, 3)
    command = [sys.executable, "-m", "snap2caption", "transform", str(corpus), "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert [sentence for sentence in document["warnings"] if "The split test is empty" in sentence]
    assert "Warning: The split test is empty" in done.stderr
    assert '<p class="warning">The split test is empty' in (Path(document["dataset"]) / "card.html").read_text()


def test_what_compresses_well_is_no_bomb(tmp_path: Path) -> None:
    """A picture of one color shrinks by 320 times, the longest caption of one emoji by 180."""
    stream = io.BytesIO()
    Image.new("RGB", (7000, 7000)).save(stream, "JPEG", quality=100, subsampling=0)
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("img_resized_1M/cities_instagram/chicago/1.jpg", stream.getvalue())
        archive.writestr("captions_resized_1M/cities_instagram/chicago/1.txt", "😂" * 2200)
    dataset = transform(tmp_path / "corpus.zip", tmp_path / "out", workers=1)
    assert [(sample.id, sample.post.caption) for _, sample in samples(dataset)] == [("1", "😂" * 2200)]


def test_a_caption_that_lost_characters_before_us_is_counted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        archive.writestr("img_resized_1M/cities_instagram/chicago/1.jpg", b"never read")
        archive.writestr("captions_resized_1M/cities_instagram/chicago/1.txt", "caf\ufffd at noon")
    with pytest.raises(UserError, match="undecodable_caption 1"):
        transform(tmp_path / "corpus.zip", tmp_path / "out", workers=1)


@pytest.mark.parametrize(("content", "sentence"), [(None, "There is no corpus"), (b"PK no", "is not a zip")])
def test_no_corpus_is_one_sentence(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "corpus.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        transform(path, tmp_path / "out")
    assert content is not None or not (tmp_path / "out").exists()
