import contextlib
import stat
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from etl.transform import columns
from etl.transform.archive.corpus import open_corpus
from etl.transform.archive.member_reader import ArchiveMember, DamagedError
from etl.transform.archive.members import normalize_city
from etl.transform.stages.plan import write_members, write_pairs

pytestmark = pytest.mark.unit

CAPTIONS, IMAGES = "captions_resized_1M/cities_instagram", "img_resized_1M/cities_instagram"


def pair_up(path: Path, members: Mapping[str, str]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return pairs_of(path)


def pairs_of(corpus: Path, slice_pairs: int = 10) -> tuple[list[dict[str, Any]], dict[str, int]]:
    table = corpus.with_name("pairs.parquet")
    members = corpus.with_name("members.parquet")
    write_members(corpus, members)
    count, dropped = write_pairs(members, table, ["chicago", "newyork"], slice_pairs)
    pairs = pq.read_table(table).to_pylist()
    assert len(pairs) == count
    return pairs, dropped


def member(pair: dict[str, Any], kind: str) -> ArchiveMember:
    return ArchiveMember(*(pair[name] for name in columns.places(kind)))


def read(corpus: Path, pair: dict[str, Any], kind: str) -> bytes:
    with open_corpus(corpus) as archive:
        return member(pair, kind).read(archive)


@pytest.mark.parametrize("folder", ["NewYork", "new york", "NEW_YORK", "new-york", "newyork"])
def test_a_city_has_one_name(folder: str) -> None:
    assert normalize_city(folder) == "newyork"


def test_members_are_paired_and_can_be_read(tmp_path: Path) -> None:
    members = {
        f"some/where/{IMAGES}/Chicago/2.jpg": "photo 2",
        f"some/where/{CAPTIONS}/chicago/2.txt": "caption 2" * 50,
        f"{CAPTIONS}/New York/1.TXT": "caption 1",
        f"{IMAGES}/newyork/1.JPEG": "photo 1",
        f"{IMAGES}/london/3.jpg": "photo 3",
        f"{CAPTIONS}/london/3.txt": "caption 3",
        f"__MACOSX/{IMAGES}/chicago/._2.jpg": "resource fork",
        "README.md": "other things",
    }
    pairs, dropped = pair_up(tmp_path / "corpus.zip", members)
    # In the order of the archive.
    assert [(pair["id"], pair["city"]) for pair in pairs] == [("2", "chicago"), ("1", "newyork")]
    assert dropped == {"city_not_selected": 1}
    assert read(tmp_path / "corpus.zip", pairs[0], "caption") == b"caption 2" * 50
    assert read(tmp_path / "corpus.zip", pairs[1], "image") == b"photo 1"


def test_an_id_is_one_post_whatever_else_has_it(tmp_path: Path) -> None:
    members = {
        f"{kind}/{city}/{name}": f"{city} {name}"
        for city in ("london", "Chicago", "CHICAGO", "newyork")
        for kind, name in ((CAPTIONS, "7.txt"), (IMAGES, "7.jpg"))
    }
    pairs, dropped = pair_up(tmp_path / "corpus.zip", members)
    assert [(pair["id"], pair["city"]) for pair in pairs] == [("7", "chicago")]
    assert dropped == {"city_not_selected": 1, "duplicate": 2}
    assert read(tmp_path / "corpus.zip", pairs[0], "caption") == b"Chicago 7.txt"


def test_a_caption_is_not_paired_with_another_citys_photo(tmp_path: Path) -> None:
    pairs, dropped = pair_up(tmp_path / "c.zip", {f"{CAPTIONS}/chicago/1.txt": "a", f"{IMAGES}/newyork/1.jpg": "b"})
    assert pairs == []
    assert dropped == {"missing_image": 1, "missing_caption": 1}


def test_each_bad_sample_has_one_reason(tmp_path: Path) -> None:
    members = {f"{IMAGES}/chicago/{id_}.jpg": "photo" for id_ in "12"} | {
        f"{CAPTIONS}/chicago/1.txt": "bomb" * 15_000,
        f"{CAPTIONS}/chicago/2.txt": "secret",
    }
    path = tmp_path / "corpus.zip"
    pair_up(path, members)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.rindex(f"{CAPTIONS}/chicago/1.txt".encode()))
    data[entry + 8] |= 1  # APPNOTE.TXT 4.4.4, bit 0: encrypted
    path.write_bytes(data)
    assert pairs_of(path) == ([], {"oversized": 1, "encrypted": 1})


@pytest.mark.parametrize("name", ["../{}", "/{}", "a/../{}", "C:/{}", "..\\{}", "\\{}", "a\\..\\{}", "C:\\{}"])
def test_members_that_would_escape_are_counted(tmp_path: Path, name: str) -> None:
    pairs, dropped = pair_up(tmp_path / "corpus.zip", {name.format(f"{IMAGES}/chicago/1.jpg"): "photo"})
    assert pairs == []
    assert dropped == {"unsafe_path": 1}


def test_a_link_is_counted(tmp_path: Path) -> None:
    link = zipfile.ZipInfo(f"{IMAGES}/chicago/1.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert pairs_of(tmp_path / "corpus.zip") == ([], {"unsafe_path": 1})


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_damage_goes_unnoticed(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "corpus.zip"
    text = "a caption with many words, so that it is packed: " + " ".join(map(str, range(200)))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{CAPTIONS}/chicago/1.txt", text)
        archive.writestr(f"{IMAGES}/chicago/1.jpg", "photo")
    ((pair,), _) = pairs_of(path)
    caption = member(pair, "caption")
    whole = path.read_bytes()
    with open_corpus(path) as corpus:
        assert caption.read(corpus) == text.encode()
    for at in range(caption.offset, caption.offset + 60 + caption.compressed, 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        # Whole again where a date or the name was hit, which a reader needs not.
        with open_corpus(path) as corpus, contextlib.suppress(DamagedError):
            assert caption.read(corpus) == text.encode()
    path.write_bytes(whole[: caption.offset + 20])
    with open_corpus(path) as corpus, pytest.raises(DamagedError):
        caption.read(corpus)


@pytest.mark.parametrize(
    ("image", "caption"),
    [
        (f"My corpus (2)/backup/{IMAGES}/chicago/1.jpg", f"My corpus (2)/backup/{CAPTIONS}/chicago/1.txt"),
        ("holiday/chicago/1.jpg", "holiday/chicago/1.txt"),
        ("chicago/1.jpg", "chicago/1.txt"),
        ("photos/chicago/1.jpg", "words/Chicago/1.txt"),
        ("Training/cities_instagram/chicago/img_resized_1M/1.jpg", "Training/cities_instagram/chicago/captions_resized_1M/1.txt"),
        (f"{IMAGES}/chicago/1.jpg".replace("/", "\\"), f"{CAPTIONS}/chicago/1.txt".replace("/", "\\")),
        *((f"{IMAGES}/chicago/1.{kind}", f"{CAPTIONS}/chicago/1.TXT") for kind in ("JPG", "jpeg", "JPE", "jfif", "png", "WebP")),
    ],
)  # fmt: skip
def test_layouts_and_names_of_other_tools_are_read(tmp_path: Path, image: str, caption: str) -> None:
    path = tmp_path / "corpus.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in ((image, "photo"), (caption, "caption")):
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor turns backslashes on Windows
            archive.writestr(info, text)
    ((pair,), dropped) = pairs_of(path)
    assert (pair["id"], pair["city"], dropped) == ("1", "chicago", {})
    assert (read(path, pair, "image"), read(path, pair, "caption")) == (b"photo", b"caption")


@pytest.mark.parametrize("says_so", [True, False])
def test_names_in_either_normal_form_are_one(tmp_path: Path, *, says_so: bool) -> None:
    image, caption = (unicodedata.normalize(form, "é") for form in ("NFD", "NFC"))
    path = tmp_path / "corpus.zip"
    members = {f"{IMAGES}/chicago/caf{image}.jpg": "photo", f"{CAPTIONS}/chicago/caf{caption}.txt": "caption"}
    ((pair,), dropped) = pair_up(path, members)
    if not says_so:  # macOS writes UTF-8 and leaves the flag away
        data = bytearray(path.read_bytes())
        for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
            place = data.find(mark)
            while place >= 0:
                data[place + at] &= ~0x08
                place = data.find(mark, place + 1)
        path.write_bytes(data)
        ((pair,), dropped) = pairs_of(path)
    assert (pair["id"], dropped) == ("café", {})
    assert normalize_city(unicodedata.normalize("NFD", "São Paulo")) == normalize_city("são paulo")


def test_a_name_in_the_old_encoding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corpus.zip"
    pair_up(path, {f"{IMAGES}/chicago/caf@.jpg": "photo", f"{CAPTIONS}/chicago/caf@.txt": "caption"})
    path.write_bytes(path.read_bytes().replace(b"caf@", "café".encode("cp437")))
    ((pair,), _) = pairs_of(path)
    assert pair["id"] == "café"


def test_a_compression_that_is_not_read_is_a_reason_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "corpus.zip"
    pair_up(path, {f"{IMAGES}/chicago/1.jpg": "photo", f"{CAPTIONS}/chicago/1.txt": "caption"})
    set_method(path, 9)
    assert pairs_of(path) == ([], {"unsupported_compression": 1})


def set_method(path: Path, method: int) -> None:
    """Say that the members are compressed by another *method*."""
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.find(mark)
        while place >= 0:
            data[place + at] = method
            place = data.find(mark, place + 1)
    path.write_bytes(data)
