"""Reads of a corpus in a store: the bytes of the file, in few requests, with few of them in memory."""

import os
import random
from pathlib import Path

import pytest

from etl.transform.archive import corpus as module
from etl.transform.archive.corpus import open_corpus, open_corpus_stream
from snap2caption.errors import UserError
from snap2caption.store.file import FileStore

pytestmark = pytest.mark.unit

SIZE = 3_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a corpus é%.zip"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that are asked of the store. A URI of a folder is read as an object's."""
    asked: list[tuple[int, int]] = []
    read = FileStore.read

    def note(store: FileStore, key: str, start: int, size: int) -> bytes:
        asked.append((start, size))
        return read(store, key, start, size)

    monkeypatch.setattr(FileStore, "read", note)
    return asked


RANGES = [(random.Random(n).randrange(SIZE), random.Random(-n).randrange(1, 50_000)) for n in range(300)]


@pytest.mark.parametrize("apart", [None, 0, 4096, SIZE])
@pytest.mark.parametrize("order", ["as expected", "backwards", "not all", "unexpected ones too"])
def test_ranges_are_those_of_the_file(file: Path, apart: int | None, order: str) -> None:
    wanted = {"as expected": RANGES, "backwards": RANGES[::-1], "not all": RANGES[::7]}.get(order, [])
    wanted = wanted or [*RANGES[:50], *((start, size // 2 + 1) for start, size in RANGES)]
    with open_corpus(file) as plain, open_corpus(file.as_uri()) as stored:
        for _ in range(2):
            stored.expect(iter(RANGES), apart)
            for one in wanted:
                assert stored.read(*one) == plain.read(*one)
    with open_corpus(file.as_uri()) as stored:
        assert stored.read(SIZE - 5, 100) == file.read_bytes()[-5:]
        assert stored.read(SIZE + 5, 100) == b""


def test_near_ranges_are_one_request(file: Path, requests: list[tuple[int, int]]) -> None:
    photos = [(start, 9_000) for start in range(0, 1_000_000, 10_000)]
    with open_corpus(file.as_uri()) as stored:
        stored.expect([*photos, (2_000_000, 10)], 1_000)
        for one in [*photos, (2_000_000, 10)]:
            stored.read(*one)
    assert sorted(requests) == [(0, 999_000), (2_000_000, 10)]


def test_a_window_is_not_larger_than_one_should_be(
    file: Path, requests: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WINDOW", 100_000)
    photos = [(start, 10_000) for start in range(0, SIZE, 10_000)]
    with open_corpus(file.as_uri()) as stored:
        stored.expect(photos, 0)
        stored.read(*photos[0])
        # What is read ahead is bounded, too: nobody has read the second photo.
        assert len(requests) <= module._AHEAD
        for one in photos[1:]:
            stored.read(*one)
    assert {size for _, size in requests} == {100_000}
    assert len(requests) == SIZE // 100_000


def test_a_stream_reads_any_position(file: Path) -> None:
    with open_corpus_stream(file.as_uri()) as stream:
        stream.seek(-9, os.SEEK_END)
        assert stream.read() == file.read_bytes()[-9:]


@pytest.mark.parametrize("name", ["missing.zip", "folder/missing.zip"])
def test_a_corpus_that_is_not_there(tmp_path: Path, name: str) -> None:
    where = f"{tmp_path.as_uri()}/{name}"
    with pytest.raises(UserError, match=r"There is no corpus at .*; fetch it with"), open_corpus(where):
        pass
