import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from etl.feedback import fact_index
from etl.feedback.fact_index import FactIndex, Row, Source
from snap2caption.store import ObjectStore, open_store

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(tmp_path.as_uri())


class Reader:
    """Derives a fact from each source: its own tag. Counts what it reads."""

    def __init__(self, index: FactIndex[str]) -> None:
        self.index = index
        self.read: list[str] = []

    def __call__(self, world: dict[str, str]) -> dict[str, str | None]:
        self.read.clear()
        return dict(self.index.facts((Source(*item) for item in sorted(world.items())), self._derive))

    def _derive(self, missing: Sequence[Source]) -> Iterator[Row[str] | None]:
        for source in missing:
            self.read.append(source.key)
            yield None if source.tag == "gone" else Row(*source, None if source.tag == "broken" else source.tag)


@pytest.fixture
def reader(store: ObjectStore) -> Reader:
    return Reader(FactIndex(store, "test", str))


def segments(store: ObjectStore) -> list[str]:
    return [found.key for found in store.list("index/test/")]


def content(store: ObjectStore) -> str:
    text = ""
    for key in segments(store):
        with store.get(key) as stream:
            text += stream.read().decode()
    return text


def test_only_what_is_new_or_changed_is_read(reader: Reader) -> None:
    assert reader({"a": "1", "b": "broken", "c": "gone"}) == {"a": "1", "b": None}
    assert reader({"a": "1", "b": "broken", "c": "1"}) == {"a": "1", "b": None, "c": "1"}
    assert reader.read == ["c"]
    assert reader({"a": "2", "b": "broken", "c": "1", "0": "0"}) == {"0": "0", "a": "2", "b": None, "c": "1"}
    assert reader.read == ["0", "a"]


def test_what_is_gone_leaves_the_index_at_once(reader: Reader, store: ObjectStore) -> None:
    reader({"one": "1", "two": "2", "three": "3"})
    reader({"one": "1", "three": "3"})
    assert "two" not in content(store)
    reader.index.forget({"three"})
    assert "three" not in content(store)
    reader({})
    assert segments(store) == []


def test_a_segment_is_searched_once_for_what_is_gone(
    reader: Reader, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    got, get = [], store.get
    monkeypatch.setattr(store, "get", lambda key: (got.append(key), get(key))[1])

    def search(*gone: str) -> int:
        got.clear()
        reader.index.forget({*gone})
        return len([key for key in got if key.startswith("index/test/")])

    reader({"one": "1", "two": "2", "three": "3"})
    assert search("two") > 0
    assert "two" not in content(store)
    assert search("two") == 0
    # A run that had begun before the erasure wrote it again.
    reader({"one": "1", "two": "2", "three": "3"})
    assert search("two") > 0
    assert "two" not in content(store)
    assert search("two", "three") > 0
    assert "three" not in content(store)
    assert search("two", "three") == 0


def test_rows_are_written_again_a_few_times_only(
    reader: Reader, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    put = store.put

    def counting(key: str, source: Path, *, sha256: str) -> None:
        nonlocal written
        written += source.read_bytes().count(b"\n")
        put(key, source, sha256=sha256)

    monkeypatch.setattr(store, "put", counting)
    world: dict[str, str] = {}
    for number in range(256):
        world[f"{number:03}"] = "x"
        reader(world)
    assert len(segments(store)) <= 9  # log2(256) + 1
    assert written <= 256 * 9


def test_a_damaged_segment_is_derived_again(reader: Reader, store: ObjectStore, tmp_path: Path) -> None:
    reader({"a": "1", "b": "2"})
    (segment,) = segments(store)
    with (tmp_path / segment).open("r+b") as stream:
        stream.truncate(12)
    assert reader({"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert reader({"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert reader.read == []


@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_between_any_two_writes_changes_nothing(
    seed: int, reader: Reader, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The world changes at random; each run but the last is stopped at a random one of its writes."""
    chance, world = random.Random(seed), dict[str, str]()
    put, delete, left = store.put, store.delete, 0
    monkeypatch.setattr(fact_index, "CHUNK", 4)

    class StoppedError(Exception):
        pass

    def writing(action):
        def act(*given, **named) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise StoppedError
            action(*given, **named)

        return act

    monkeypatch.setattr(store, "put", writing(put))
    monkeypatch.setattr(store, "delete", writing(delete))
    for _ in range(60):
        for key in chance.sample(range(40), 6):
            world[f"{key:02}"] = str(chance.randrange(3))
        for key in chance.sample(sorted(world), min(len(world), 3)):
            del world[key]
        left = chance.randrange(6)
        try:
            assert reader(world) == world
        except StoppedError:
            continue
    left = 100
    assert reader(world) == world
    assert reader(world) == world
    assert reader.read == []
    assert len(segments(store)) <= 6
    assert content(store).count("\n") == len(world)
