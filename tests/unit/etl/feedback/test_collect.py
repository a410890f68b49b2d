import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from etl.feedback import collect as module
from etl.feedback.collect import collect
from etl.feedback.ledger import BATCHES, FeedbackBatch, entries
from snap2caption.feedback import erasure_key
from snap2caption.store import ObjectInfo, ObjectStore, open_store
from snap2caption.store.file import FileStore

pytestmark = pytest.mark.unit

START = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def fill(folder: Path, numbers: range) -> ObjectStore:
    """Make records without content, a thousand a day: they are not read."""
    for number in numbers:
        day = folder / "records" / f"{START + timedelta(days=number // 1000):%Y-%m-%d}"
        day.mkdir(parents=True, exist_ok=True)
        (day / f"{number:032x}.json").touch()
    return open_store(folder.as_uri())


def test_each_record_is_in_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 7)
    store = fill(tmp_path, range(10, 30))
    (tmp_path / "erased").mkdir()
    (tmp_path / erasure_key(f"{12:032x}")).touch()
    (tmp_path / "records" / "stray.json").touch()
    assert collect(store) == 19
    assert collect(store) == 0
    # Earlier ones, which were delivered late, and later ones.
    fill(tmp_path, range(40))
    assert collect(store) == 20
    batches = [batch.records for _, batch in entries(store, BATCHES, FeedbackBatch)]
    numbers = [int(key.rpartition("/")[2].removesuffix(".json"), 16) for records in batches for key in records]
    assert sorted(numbers) == [number for number in range(40) if number != 12]
    assert max(map(len, batches)) == 7


class PagedStore(FileStore):
    """A folder that lists so many records as a server does: one after the other."""

    records = 0

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        if prefix != "records/":
            yield from super().list(prefix)
            return
        for number in range(self.records):
            yield ObjectInfo(f"records/{START:%Y-%m-%d}/{number:032x}.json", 1, NOW, "tag")


def test_memory_does_not_grow_with_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 200)
    peaks = []
    for number in (16_000, 48_000):
        store = PagedStore(tmp_path / str(number))
        store.records = number
        assert collect(store) == number
        tracemalloc.start()
        assert collect(store) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
