"""Local copies of a corpus in a store: made if most of it is read and the disk has room, and removed afterwards."""

from pathlib import Path

import pytest

from etl.transform.archive import local_copy as module
from etl.transform.archive.local_copy import local_copy
from snap2caption.store import StoreError

pytestmark = pytest.mark.unit

SIZE = 100_000


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """A corpus in a folder that is read as a store."""
    path = tmp_path / "store" / "corpus.zip"
    path.parent.mkdir()
    path.write_bytes(bytes(range(250)) * (SIZE // 250))
    return path.as_uri()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_most_of_it_is_read_from_a_copy(stored: str, tmp_path: Path, scratch: Path) -> None:
    with local_copy(stored, SIZE, SIZE // 2, scratch) as place:
        assert isinstance(place, Path)
        assert place.parent == scratch
        assert place.read_bytes() == (tmp_path / "store" / "corpus.zip").read_bytes()
    assert not list(scratch.iterdir())


def test_the_copy_is_removed_after_an_error(stored: str, scratch: Path) -> None:
    with pytest.raises(ValueError, match="while it is read"), local_copy(stored, SIZE, SIZE, scratch):
        raise ValueError("while it is read")
    assert not list(scratch.iterdir())


def test_a_small_part_is_read_by_ranges(stored: str, scratch: Path) -> None:
    with local_copy(stored, SIZE, SIZE // 5, scratch) as place:
        assert place == stored
        assert not list(scratch.iterdir())


def test_a_disk_without_room_gets_no_copy(stored: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SPARE", 1 << 60)
    with local_copy(stored, SIZE, SIZE, scratch) as place:
        assert place == stored


def test_a_file_is_read_where_it_is(tmp_path: Path, scratch: Path) -> None:
    with local_copy(tmp_path / "corpus.zip", SIZE, SIZE, scratch) as place:
        assert place == tmp_path / "corpus.zip"


def test_a_corpus_that_is_gone_leaves_nothing(stored: str, scratch: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"has no gone\.zip"),
        local_copy(stored.replace("corpus", "gone"), SIZE, SIZE, scratch),
    ):
        pass
    assert not list(scratch.iterdir())
