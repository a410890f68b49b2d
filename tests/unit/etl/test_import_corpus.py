"""Corpus import: each layout, as other tools write it, becomes a corpus zip; broken ones become counts or one sentence."""

import csv
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from etl.import_corpus import ImportedCorpus, import_corpus
from etl.readers.base import ReaderOptions
from etl.transform import transform
from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

FOG = "Fog, then the bridge 🌉 über San José #fog"


def photo(color: str, form: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((120, 90), 40).convert("RGB").save(stream, form) if color == "noise" else Image.new(
        "RGB", (120, 90), color
    ).save(stream, form)
    return stream.getvalue()


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def zipped(folder: Path) -> Path:
    out = folder.with_suffix(".zip")
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return out


def as_it_is(folder: Path) -> Path:
    return folder


def captions(imported: ImportedCorpus) -> set[str]:
    with zipfile.ZipFile(imported.path) as archive:
        return {archive.read(name).decode() for name in archive.namelist() if name.endswith(".txt")}


each_container = pytest.mark.parametrize("pack", [as_it_is, zipped])


@each_container
def test_sidecars(pack: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = write(
        tmp_path / "mine",
        {
            "Paris/a.jpg": photo("red"),
            "Paris/a.txt": "﻿" + FOG,
            "Paris/b.PNG": photo("blue", "PNG"),
            "Paris/b.PNG.json": json.dumps({"caption": "Blue hour."}),
            "c.webp": photo("green", "WEBP"),
            "c.json": json.dumps({"description": "A lawn.", "city": "Köln"}),
            "alone.jpg": photo("white"),
            "list.json": "[]",
            "list.jpg": photo("white"),
            "broken.txt": b"\xff\xfe\xfa",
            "broken.jpg": photo("white"),
            "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0",
            "phone.txt": "HEIC.",
            ".hidden/d.jpg": photo("white"),
            ".hidden/d.txt": "Nobody sees it.",
        },
    )
    if pack is as_it_is:
        # A reader that opened it would wait forever.
        os.mkfifo(folder / "pipe.jpg")
    imported = import_corpus(pack(folder), tmp_path / "corpus.zip", options=ReaderOptions(group="city"))
    assert imported.reader == "sidecars"
    assert imported.groups == {"köln": 1, "paris": 2}
    assert imported.skipped == {"missing_caption": 1, "unreadable_caption": 2, "unreadable_image": 1}
    assert captions(imported) == {FOG, "Blue hour.", "A lawn."}


def jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def csv_table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        table = csv.DictWriter(stream, rows[0])
        table.writeheader()
        table.writerows(rows)


def parquet(path: Path, rows: list[dict[str, str]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


@each_container
@pytest.mark.parametrize("name", ["\ud83d.jpg", "x" * 5000 + ".jpg", "a\0.jpg", ".", "d"])
def test_a_name_that_no_file_can_have_is_a_missing_photo(
    pack: Callable[[Path], Path], name: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "set", {"a.jpg": photo("red"), "d/b.jpg": photo("red")})
    jsonl(folder / "metadata.jsonl", [{"file_name": name, "text": "Odd."}, {"file_name": "a.jpg", "text": FOG}])
    imported = import_corpus(pack(folder), tmp_path / "corpus.zip")
    assert (imported.posts, imported.skipped) == (1, {"missing_image": 1})


@each_container
@pytest.mark.parametrize("write_table", [jsonl, csv_table, parquet])
def test_imagefolder(
    pack: Callable[[Path], Path], write_table: Callable[[Path, list[dict[str, str]]], None], tmp_path: Path
) -> None:
    folder = write(tmp_path / "set", {"train/1.jpg": photo("red"), "train/deep/2.png": photo("blue", "PNG")})
    outside = write(tmp_path, {"secret.jpg": photo("white")}) / "secret.jpg"
    (folder / "train" / "link.jpg").symlink_to(outside)
    ending = {jsonl: "jsonl", csv_table: "csv", parquet: "parquet"}[write_table]
    rows = [("1.jpg", FOG, "Oslo"), ("deep/2.png", "Two.", ""), ("3.jpg", "Gone.", ""), ("1.jpg", "Again.", "Oslo")]
    rows += [(name, "Not ours.", "") for name in ("../../secret.jpg", str(outside), "link.jpg")]
    found = [{"file_name": name, "story": text, "place": place} for name, text, place in rows]
    write_table(folder / "train" / f"metadata.{ending}", found)
    if pack is zipped:
        (folder / "train" / "link.jpg").unlink()
    options = ReaderOptions(caption="story", group="place")
    imported = import_corpus(pack(folder), tmp_path / "corpus.zip", options=options)
    assert imported.reader == "imagefolder"
    assert imported.groups == {"oslo": 1, "posts": 1}
    assert imported.skipped == {"duplicate": 1, "missing_image": 4}
    assert captions(imported) == {FOG, "Two."}


def test_webdataset(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    samples = [
        {"__key__": "000", "jpg": photo("red"), "txt": FOG},
        {"__key__": "001", "photo.png": photo("blue", "PNG"), "json": {"caption": "Two.", "city": "Rome"}},
        {"__key__": "002", "txt": "No photo."},
        {"__key__": "003", "mp4": b"film", "txt": "A film."},
        {"__key__": "004", "jpg": b"no photo", "txt": "Broken."},
        {"__key__": "005", "jpg": photo("green")},
    ]
    for number in range(2):
        with webdataset.TarWriter(str(tmp_path / "shards" / f"{number:05d}.tar")) as writer:
            for sample in samples:
                writer.write(sample)
    imported = import_corpus(tmp_path / "shards", tmp_path / "corpus.zip", options=ReaderOptions(group="city"))
    assert imported.reader == "webdataset"
    assert imported.groups == {"posts": 2, "rome": 2}
    assert imported.skipped == {"missing_caption": 2, "missing_image": 2, "unsupported_image": 2, "video": 2}
    assert captions(imported) == {FOG, "Two."}


def as_instagram(text: str) -> str:
    """Return *text* as Instagram's export has it: each byte of UTF-8 as a character."""
    return text.encode().decode("latin-1")


@each_container
@pytest.mark.parametrize("root", ["your_instagram_activity/media", "content", "export-1/your_instagram_activity/media"])
def test_instagram_export(pack: Callable[[Path], Path], root: str, tmp_path: Path) -> None:
    top = "export-1/" if root.startswith("export") else ""
    posts = [
        {"media": [{"uri": "media/posts/202601/a.jpg", "creation_timestamp": 3, "title": as_instagram(FOG)}]},
        {
            "title": as_instagram("Two of them 🚲"),
            "creation_timestamp": 2,
            "media": [{"uri": "media/posts/b.mp4", "title": ""}, {"uri": "media/posts/c.webp", "title": ""}],
        },
        {"media": [{"uri": "media/posts/b.mp4", "title": "A film."}]},
        {"media": [{"uri": "media/posts/a.jpg", "title": ""}]},
        {"media": [{"uri": "media/posts/gone.jpg", "title": "Gone."}]},
        {"media": [{"uri": "../../../etc/passwd", "title": "Not ours."}]},
        {"media": "nothing"},
    ]
    files: dict[str, bytes | str] = {
        f"{root}/posts_1.json": json.dumps(posts),
        f"{top}media/posts/202601/a.jpg": photo("red"),
        f"{top}media/posts/c.webp": photo("blue", "WEBP"),
        f"{root}/reels.json": json.dumps({"ig_reels_media": [{"media": [{"uri": "r.mp4", "title": "A reel."}]}]}),
    }
    imported = import_corpus(pack(write(tmp_path / "export", files)), tmp_path / "corpus.zip")
    assert imported.reader == "instagram"
    assert imported.groups == {"posts": 2}
    assert imported.skipped == {"missing_caption": 1, "missing_image": 3, "video": 1}
    assert captions(imported) == {FOG, "Two of them 🚲"}


def test_the_same_source_gives_the_same_bytes_and_a_dataset(tmp_path: Path) -> None:
    files = {f"oslo/{number}.jpg": photo("noise") for number in range(12)}
    files |= {f"oslo/{number}.txt": f"Day {number} in the city. #oslo".encode() for number in range(12)}
    folder = write(tmp_path / "mine", dict(files))
    outs = [import_corpus(folder, tmp_path / name / "corpus.zip").path for name in ("one", "two")]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    version = transform(outs[0], tmp_path / "datasets", cities=["all"], workers=1)
    manifest = Manifest.read(version)
    assert sum(split.samples for split in manifest.splits.values()) == 12
    assert {city for split in manifest.splits.values() for city in split.cities} == {"oslo"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "has no layout that is known"),
        ({"a.jpg": b"x"}, "has no layout that is known"),
        ({"media/posts_1.json": "[{"}, "is damaged .*; get the export again"),
        ({"media/posts_1.html": "<p>"}, "is an export in HTML; ask Instagram for one in JSON"),
        ({"media/posts_1.json": "[]"}, "No post in .* can be used, read as instagram \\(nothing in it\\)"),
        ({"metadata.jsonl": '{"file_name": 1}'}, "metadata.jsonl in .* can't be read \\(a row has no file_name\\)"),
        ({"metadata.jsonl": "[1]"}, "metadata.jsonl in .* can't be read \\(line 1 is not an object\\)"),
        ({"metadata.jsonl": "{"}, "metadata.jsonl in .* can't be read"),
        ({"metadata.csv": b"file_name,text\n\xff,a\n"}, "metadata.csv in .* can't be read"),
        ({"metadata.parquet": b"PAR1"}, "metadata.parquet in .* can't be read"),
        ({"metadata.jsonl": '{"file_name": "a.jpg", "text": "Gone."}'}, "imagefolder \\(missing_image 1\\)"),
        ({"0.tar": b"no tar"}, "0.tar in .* is damaged or cut off"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(files: dict[str, bytes | str], sentence: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with pytest.raises(UserError, match=sentence):
        import_corpus(write(source, files), tmp_path / "out" / "corpus.zip")
    assert not [path for path in tmp_path.rglob("*") if "corpus.zip" in path.name]


def test_a_shard_that_is_cut_off_is_named(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("a.jpg", photo("red")), ("a.txt", b"One.")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    write(tmp_path / "shards", {"0.tar": stream.getvalue()[:700]})
    with pytest.raises(UserError, match="is damaged or cut off"):
        import_corpus(tmp_path / "shards", tmp_path / "corpus.zip")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [("gone", None, "There is nothing at"), ("text.zip", b"no zip", "is neither a folder nor a zip")],
)
def test_no_source(name: str, content: bytes | None, sentence: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        import_corpus(tmp_path / name, tmp_path / "corpus.zip")


def test_what_cannot_be_asked_for_is_told(tmp_path: Path) -> None:
    source = write(tmp_path / "mine", {"a.jpg": photo("red"), "a.txt": "One.", "media/posts_1.json": "[]"})
    with pytest.raises(UserError, match="no reader folder; choose among instagram, imagefolder"):
        import_corpus(source, tmp_path / "corpus.zip", reader="folder")
    with pytest.raises(UserError, match="is a folder"):
        import_corpus(source, tmp_path)
    with pytest.raises(UserError, match="has no columns to choose"):
        import_corpus(source, tmp_path / "corpus.zip", options=ReaderOptions(group="city"))
    assert import_corpus(source, tmp_path / "corpus.zip", reader="sidecars").posts == 1


@each_container
def test_photos_of_phones_become_upright_jpegs(pack: Callable[[Path], Path], tmp_path: Path) -> None:
    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (300, 200), "teal")).save(stream, quality=90)
    folder = write(tmp_path / "set", {"a.heic": stream.getvalue(), "a.txt": FOG, "b.HEIC": stream.getvalue()[:400]})
    (folder / "b.txt").write_text("Cut off.")
    imported = import_corpus(pack(folder), tmp_path / "corpus.zip")
    assert (imported.posts, imported.skipped) == (1, {"unreadable_image": 1})
    with zipfile.ZipFile(imported.path) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jpg"))
        with Image.open(io.BytesIO(archive.read(name))) as image:
            assert (image.format, image.size) == ("JPEG", (300, 200))


@pytest.mark.parametrize("write_table", [jsonl, csv_table, parquet])
@pytest.mark.parametrize(
    "options", [ReaderOptions(caption="captoin"), ReaderOptions(group="captoin"), ReaderOptions("text", "captoin")]
)
def test_a_column_that_no_row_has_is_told(
    write_table: Callable[[Path, list[dict[str, str]]], None], options: ReaderOptions, tmp_path: Path
) -> None:
    folder = write(tmp_path / "set", {"a.jpg": photo("red")})
    name = {jsonl: "metadata.jsonl", csv_table: "metadata.csv", parquet: "metadata.parquet"}[write_table]
    write_table(folder / name, [{"file_name": "a.jpg", "text": FOG, "city": "Oslo"}])
    with pytest.raises(UserError) as raised:
        import_corpus(folder, tmp_path / "corpus.zip", options=options)
    assert str(raised.value) == f"Nothing in {folder} has a column or key captoin; there are: city, file_name, text."
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
