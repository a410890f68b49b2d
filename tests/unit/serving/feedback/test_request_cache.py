import time
from pathlib import Path

import pytest
from creators import creator
from databases import BOTH
from sqlalchemy import text

from serving.feedback.request_cache import CachedRequest, RequestCache
from serving.feedback.schemas import Submission
from serving.state.database import Database, StateError
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section
from snap2caption.feedback import (
    Words,
)

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")
SAID = Submission(rating=2, caption="seen", edited_caption="mine")


@on_both
def test_nobody_displaces_requests_of_whoever_has_fewer(database: Database) -> None:
    content = CachedRequest(variants=(Words(caption="hi"),), model_version="m/1")
    cache = RequestCache(database, seconds=60, max_bytes=10_000)
    cache.keep("b", BEN, content, b"x" * 1000)
    for number in range(30):
        cache.keep(f"a{number}", ANA, content, b"x" * 1000)
    assert cache.find("b", BEN)
    # As many of Ana's newest requests as there is room for.
    kept = [number for number in range(30) if cache.find(f"a{number}", ANA)]
    assert len(kept) >= 6
    assert kept == list(range(30))[-len(kept) :]
    for number in range(30):
        cache.keep(f"b{number}", BEN, content, b"x" * 1000)
    assert len([number for number in range(30) if cache.find(f"a{number}", ANA)]) >= 4
    # A single request as large as all of theirs displaces none either.
    cache.keep("c", "c" * 64, content, b"x" * 9000)
    assert cache.find("c", "c" * 64) is None
    assert cache.find("a29", ANA)
    database.close()


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "feedback.sqlite", Section.FEEDBACK)
    cache = RequestCache(database, seconds=60, max_bytes=10**9)
    content = CachedRequest(variants=(Words(caption="hi"),), model_version="m/1")
    with database.transaction() as connection:
        # SQLite then reports the same error as on a full disk.
        connection.execute(text("PRAGMA max_page_count = 50"))
    cache.keep("1", ANA, content, b"x" * 1000)
    with pytest.raises(StateError) as error:
        cache.keep("2", ANA, content, b"x" * 10**6)
    assert error.value.full
    assert cache.find("1", ANA) is not None
    assert cache.find("2", ANA) is None
    database.close()


def test_memory_is_bounded_by_bytes_and_by_time(tmp_path: Path) -> None:
    database = SQLiteDatabase(tmp_path / "feedback.sqlite", Section.FEEDBACK)
    content = CachedRequest(variants=(Words(caption="hi"),), model_version="m/1")
    cache = RequestCache(database, seconds=60, max_bytes=2500)
    for request in ("1", "2", "3"):
        cache.keep(request, ANA, content, b"x" * 1000)
    cache.keep("4", ANA, content, b"x" * 3000)
    assert [cache.find(request, ANA) is not None for request in ("1", "2", "3", "4")] == [False, True, True, False]
    assert cache.find("3", BEN) is None
    brief = RequestCache(database, seconds=0.001, max_bytes=2500)
    brief.keep("5", ANA, content, b"y")
    time.sleep(0.01)
    assert brief.find("5", ANA) is None
    brief.expire()
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM kept WHERE request = '5'")).scalar() == 0
    # Displaced content is nowhere on the disk once the log is tidied, which happens every minute.
    cache.keep("6", ANA, content, b"z" * 1000)
    cache.keep("7", ANA, content, b"z" * 1000)
    cache.keep("8", ANA, content, b"z" * 1000)
    assert b"x" * 100 in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    database.tidy()
    assert b"x" * 100 not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    database.close()
