import hashlib
import io
import json
import re
import stat
import zipfile
from collections import Counter

import imagehash
import pytest
from PIL import Image

from demo.corpus.archive import traps_path, truth_path, write_corpus
from demo.corpus.traps import COUNT, Trap
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

MEMBER = re.compile(
    r"InstaCities1M/(captions|img)_resized_1M/cities_instagram/(newyork|chicago|sanfrancisco|london|sydney)/(\d{19})\.(txt|jpg)"
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("plain") / "corpus.zip", 60, seed=1, workers=1)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("trapped") / "corpus.zip", 60, seed=1, traps=True, workers=1)


@pytest.fixture(scope="module")
def traps(trapped):
    return json.loads(traps_path(trapped).read_text())


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rows(path):
    return [json.loads(line) for line in truth_path(path).read_text().splitlines()]


def other(name):
    folders = {
        "img_resized_1M": "captions_resized_1M",
        "captions_resized_1M": "img_resized_1M",
        ".jpg": ".txt",
        ".txt": ".jpg",
    }
    return re.sub(r"img_resized_1M|captions_resized_1M|\.jpg$|\.txt$", lambda match: folders[match[0]], name)


def pixels(archive, name):
    return Image.open(io.BytesIO(archive.read(name)))


def test_the_zip_has_the_shape_of_instacities(plain):
    with zipfile.ZipFile(plain) as archive:
        assert archive.testzip() is None
        found = [MEMBER.fullmatch(info.filename) for info in archive.infolist()]
        assert all(found)
        assert len(found) == 120
        pairs = Counter((match[2], match[3]) for match in found)
        assert set(pairs.values()) == {2}
        for info in archive.infolist():
            jpeg = info.filename.endswith(".jpg")
            assert info.compress_type == (zipfile.ZIP_STORED if jpeg else zipfile.ZIP_DEFLATED)
            if jpeg:
                with pixels(archive, info.filename) as picture:
                    assert (picture.format, picture.size, picture.mode) == ("JPEG", (300, 300), "RGB")
            else:
                assert "#" in archive.read(info).decode()


def test_the_truth_stands_beside_the_zip(plain):
    with zipfile.ZipFile(plain) as archive:
        ids = {(MEMBER.fullmatch(name)[2], MEMBER.fullmatch(name)[3]) for name in archive.namelist()}
    truth = rows(plain)
    assert {(row["city"], row["id"]) for row in truth} == ids
    assert set(truth[0]) == {"id", "city", "subject", "time", "weather", "mood", "tone"}
    assert not traps_path(plain).exists()


def test_bytes_depend_on_the_seed_and_not_on_the_workers(tmp_path):
    progress = []
    alone = write_corpus(tmp_path / "a.zip", 200, seed=5, workers=1)
    together = write_corpus(tmp_path / "b.zip", 200, seed=5, workers=2, progress=progress.append)
    assert digest(alone) == digest(together)
    assert truth_path(alone).read_bytes() == truth_path(together).read_bytes()
    assert sum(progress) == 200
    assert digest(write_corpus(tmp_path / "c.zip", 200, seed=6, workers=1)) != digest(alone)


def test_traps_come_on_top_of_the_same_good_pairs(plain, trapped, traps):
    with zipfile.ZipFile(plain) as good, zipfile.ZipFile(trapped) as both:
        added = [name for names in traps.values() for name in names]
        assert [*good.namelist(), *added] == both.namelist()
        assert all(good.read(name) == both.read(name) for name in good.namelist())
    assert set(traps) == set(Trap)
    for trap in (Trap.MISSING_CAPTION, Trap.MISSING_IMAGE):
        assert len(traps[trap]) == COUNT


def test_spoiled_members_are_spoiled(trapped, traps):
    with zipfile.ZipFile(trapped) as archive:
        everything = set(archive.namelist())
        assert not any(
            other(name) in everything for trap in (Trap.MISSING_CAPTION, Trap.MISSING_IMAGE) for name in traps[trap]
        )
        assert all(not archive.read(name).strip() for name in traps[Trap.EMPTY_CAPTION] if name.endswith(".txt"))
        for name in traps[Trap.UNDECODABLE_CAPTION]:
            if name.endswith(".txt"):
                with pytest.raises(UnicodeDecodeError):
                    archive.read(name).decode()
        for name in traps[Trap.TRUNCATED_IMAGE]:
            if name.endswith(".jpg"):
                with pixels(archive, name) as picture, pytest.raises(OSError, match="truncated"):
                    picture.load()
        for name in traps[Trap.CORRUPT_IMAGE]:
            if name.endswith(".jpg"):
                with pytest.raises(OSError, match="cannot identify"):
                    pixels(archive, name)
        sizes = {pixels(archive, name).size for name in traps[Trap.ODD_DIMENSIONS] if name.endswith(".jpg")}
        assert sizes == {(4, 4), (9000, 1), (1, 9000)}


def test_copies_are_copies(trapped, traps):
    originals = {row["id"]: (row["copy_of"], row["city"]) for row in rows(trapped) if "copy_of" in row}
    assert len(originals) == 3 * COUNT
    with zipfile.ZipFile(trapped) as archive:

        def both(trap):
            for name in traps[trap]:
                if name.endswith(".jpg"):
                    identifier = MEMBER.fullmatch(name)[3]
                    source = name.replace(identifier, originals[identifier][0])
                    yield name, source

        for name, source in both(Trap.EXACT_DUPLICATE):
            assert archive.read(name) == archive.read(source)
            assert archive.read(other(name)) == archive.read(other(source))
        for name, source in both(Trap.NEAR_DUPLICATE):
            assert archive.read(name) != archive.read(source)
            first, second = (imagehash.phash(pixels(archive, each), hash_size=16) for each in (name, source))
            assert first - second <= 16
        for name, source in both(Trap.REPOST):
            assert archive.read(name) != archive.read(source)
            assert archive.read(other(name)) == archive.read(other(source))


def test_hostile_and_odd_names(trapped, traps):
    assert traps[Trap.UNSAFE_PATH][:2] == ["../evil.jpg", "/abs/evil.txt"]
    with zipfile.ZipFile(trapped) as archive:
        link = archive.getinfo(traps[Trap.UNSAFE_PATH][2])
        assert stat.S_ISLNK(link.external_attr >> 16)
    folders = {name.split("/")[3] for name in traps[Trap.ODD_CASE]}
    assert {"NewYork", "new york", "San Francisco"} <= folders


def test_nothing_is_left_behind_when_it_fails(tmp_path):
    with pytest.raises(UserError, match="ask for more --pairs"):
        write_corpus(tmp_path / "few.zip", 2, seed=0, traps=True, workers=1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match="is a folder"):
        write_corpus(tmp_path, 2, seed=0)


def test_a_place_that_is_no_folder_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another place"):
        write_corpus(tmp_path / "file" / "corpus.zip", 2, seed=0)


def test_a_list_of_traps_does_not_outlive_its_archive(tmp_path):
    write_corpus(tmp_path / "corpus.zip", 30, seed=0, traps=True, workers=1)
    write_corpus(tmp_path / "corpus.zip", 3, seed=0, workers=1)
    assert not traps_path(tmp_path / "corpus.zip").exists()
