"""Local copies of a corpus in a store: made if most of it is read and the disk has room, and removed afterwards."""

import errno
import io
import os
import time
from contextlib import nullcontext
from pathlib import Path
from threading import Event

import pytest
from patience import LONGEST

from etl.transform.archive import local_copy as module
from etl.transform.archive.local_copy import local_copy
from snap2caption.store import StoreError
from snap2caption.store.file import FileStore

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
    with local_copy(stored, SIZE, SIZE // 2, 10, scratch) as copied:
        place = copied()
        assert isinstance(place, Path)
        assert place.parent == scratch
        assert place.read_bytes() == (tmp_path / "store" / "corpus.zip").read_bytes()
    assert not list(scratch.iterdir())


def test_the_copy_is_removed_after_an_error(stored: str, scratch: Path) -> None:
    with pytest.raises(ValueError, match="while it is read"), local_copy(stored, SIZE, SIZE, 10, scratch):
        raise ValueError("while it is read")
    assert not list(scratch.iterdir())


def test_a_small_part_is_read_by_ranges(stored: str, scratch: Path) -> None:
    with local_copy(stored, SIZE, SIZE // 5, 10, scratch) as copied:
        assert copied() == stored
        assert not list(scratch.iterdir())


def test_a_disk_without_room_gets_no_copy(stored: str, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SPARE", 1 << 60)
    with local_copy(stored, SIZE, SIZE, 10, scratch) as copied:
        assert copied() == stored


def test_a_file_is_read_where_it_is(tmp_path: Path, scratch: Path) -> None:
    with local_copy(tmp_path / "corpus.zip", SIZE, SIZE, 10, scratch) as copied:
        assert copied() == tmp_path / "corpus.zip"


def test_a_corpus_that_is_gone_leaves_nothing(stored: str, scratch: Path) -> None:
    gone = stored.replace("corpus", "gone")
    with local_copy(gone, SIZE, SIZE, 10, scratch) as copied, pytest.raises(StoreError, match=r"has no gone\.zip"):
        copied()
    assert not list(scratch.iterdir())


class _SlowStream(io.RawIOBase):
    """A stream of half a minute or more."""

    def __init__(self) -> None:
        self.was_read = Event()
        self.blocks = 3000

    def read(self, _size: int = -1) -> bytes:
        self.was_read.set()
        self.blocks -= 1
        time.sleep(0.01)
        return bytes(10) if self.blocks else b""


def test_it_is_copied_beside_other_work_which_ends_it(
    stored: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = _SlowStream()
    monkeypatch.setattr(FileStore, "get", lambda _store, _key: nullcontext(stream))

    def work() -> None:
        with local_copy(stored, SIZE, SIZE, 10, scratch):
            assert stream.was_read.wait(LONGEST)
            raise ValueError("of other work")

    with pytest.raises(ValueError, match="of other work"):
        work()
    assert stream.blocks
    assert not list(scratch.iterdir())


class _FullDisk(io.RawIOBase):
    def read(self, _size: int = -1) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_fills_up_meanwhile_gets_no_copy(
    stored: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileStore, "get", lambda _store, _key: nullcontext(_FullDisk()))
    with local_copy(stored, SIZE, SIZE, 10, scratch) as copied:
        assert copied() == stored
        assert not list(scratch.iterdir())
