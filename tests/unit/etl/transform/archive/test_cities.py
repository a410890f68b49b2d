"""City selection, and the errors for a corpus without usable samples."""

import zipfile
from pathlib import Path

import pytest

from etl.transform import plan
from etl.transform.archive.cities import choose_cities
from etl.transform.workspace import Workspace
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

CORPUS = Path("corpus.zip")
FOUND = {"newyork": True, "london": True, "chicago": True, "readmes": False}


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (None, ("chicago", "newyork")),
        (["New York", "london", ""], ("london", "newyork")),
        (["readmes"], ("readmes",)),
        (["all"], ("chicago", "london", "newyork")),
        (["london", "ALL"], ("chicago", "london", "newyork")),
    ],
)
def test_cities_are_chosen(asked: list[str] | None, chosen: tuple[str, ...]) -> None:
    assert choose_cities(CORPUS, asked, FOUND) == chosen


@pytest.mark.parametrize(
    ("asked", "found", "sentence"),
    [
        (
            ["newyork", "bostn"],
            FOUND,
            "corpus.zip has no bostn; choose among chicago, london, newyork with --cities, or keep every city with --cities all.",
        ),
        (["a", "b"], FOUND, "corpus.zip has no a and no b; choose among"),
        (["", " "], FOUND, "No city was given; choose among"),
        (None, {"london": True}, "corpus.zip has none of newyork, chicago, sanfrancisco; choose among london with"),
        (["x"], dict.fromkeys(map(str, range(100, 150)), True), "choose among 100, .*, 129 and 20 more with --cities"),
    ],
)
def test_a_city_that_is_not_there_is_one_sentence(
    asked: list[str] | None, found: dict[str, bool], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        choose_cities(CORPUS, asked, found)


def write(path: Path, names: list[str], method: int | None = None, *, encrypted: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + flags] |= encrypted
            data[place + flags + 2] = method or data[place + flags + 2]
            place = data.find(mark, place + 1)
    path.write_bytes(data)
    return path


PAIR = ["newyork/1.jpg", "newyork/1.txt"]


def test_the_cities_of_the_zip_are_those_of_its_folders(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus.zip", [*PAIR, "London/2.jpg", "London/2.txt", "notes/README.txt"])
    planned = plan(corpus, tmp_path / "out", cities=["all"])
    assert Workspace(planned.work).open_plan().settings.cities == ("london", "newyork")
    assert plan(corpus, tmp_path / "out", cities=["newyork", "london"]) == planned
    assert Workspace(plan(corpus, tmp_path / "out").work).open_plan().settings.cities == ("newyork",)


@pytest.mark.parametrize(
    ("names", "how", "sentence"),
    [
        ([], {}, r"corpus.zip is empty; pack it as"),
        (["a/", "a/film.mov"], {}, r"has files such as 'a/film.mov', but no photos with captions; pack it as <city>/<id>.jpg and"),
        (PAIR, {"method": 9}, r"\(unsupported_compression 1\); pack it again without Deflate64: supported are deflate, bzip2,"),
        (PAIR, {"method": 77}, r"pack it again without method 77:"),
        (PAIR, {"encrypted": True}, r"\(encrypted 1\); pack it again without a password\."),
        (PAIR[:1], {}, r"can be used for newyork \(missing_caption 1\); check the cities and the zip\."),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_named(tmp_path: Path, names: list[str], how: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        plan(write(tmp_path / "corpus.zip", names, **how), tmp_path / "out")
    assert not list((tmp_path / "out").glob(".work-*"))
