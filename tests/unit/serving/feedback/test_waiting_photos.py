import os
from datetime import UTC, datetime

import pytest
from creators import creator
from databases import BOTH, at_revision
from sqlalchemy import insert, select, text
from statement_kills import kill_at_statements

from serving.feedback.delivery.claims import Claims
from serving.feedback.outbox import Outbox
from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import open_database
from serving.state.tables import Section, outbox, outbox_photos
from snap2caption.feedback import Feedback

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")


def feedback(number: int, who: str = ANA) -> Feedback:
    return Feedback(id=f"{number:032x}", creator=who, received=datetime.now(UTC), photo="f" * 64)


def fill_old(settings: ServingSettings, number: int = 3) -> None:
    """Make a database of the version whose photos were in the outbox itself, with entries that wait."""
    old = [feedback(each) for each in range(number)]
    values = {"creator": ANA, "submission": "", "state": "waiting", "since": 0.0, "bytes": 9}
    rows = [values | {"id": one.id, "record": one.model_dump_json(), "photo": one.id.encode()} for one in old]
    with at_revision(settings, "feedback_4") as connection:
        connection.execute(insert(outbox), rows)


def photos(database: Database) -> list[bytes]:
    """The photos that have rows of their own."""
    with database.transaction() as connection:
        query = select(outbox_photos.c.photo).order_by(outbox_photos.c.number)
        return [row.photo for row in connection.execute(query)]


@on_both
def test_what_an_earlier_version_accepted_is_delivered_first(settings: ServingSettings) -> None:
    fill_old(settings)
    database = open_database(settings, Section.FEEDBACK)
    Outbox(database, max_bytes=10**6).add(feedback(3), feedback(3).id.encode(), "")
    claims = Claims(database, "worker")
    claimed = claims.feedback(9)
    assert [one.photo.decode() for one in claimed] == [one.id for one in claimed] == [f"{n:032x}" for n in range(4)]
    claims.mark_stored([one.id for one in claimed])
    with database.transaction() as connection:
        assert connection.execute(select(outbox.c.photo)).scalars().all() == [None] * 4
    assert photos(database) == []


@on_both
def test_a_photo_goes_with_its_entry_whoever_changes_it(database: Database) -> None:
    box, claims = Outbox(database, max_bytes=10**6), Claims(database, "worker")
    for number in range(7):
        box.add(feedback(number, BEN if number == 4 else ANA), b"%d" % number, "")
    assert box.add(feedback(1), b"other", "") is not None
    claims.feedback(1)
    assert photos(database) == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    claims.mark_stored([feedback(0).id])
    box.erase(feedback(1).id, ANA)
    with database.transaction() as connection:
        # As an earlier version does it.
        done = text("UPDATE feedback SET state = 'stored', photo = NULL WHERE id = :id")
        connection.execute(done, {"id": feedback(2).id})
        connection.execute(text("DELETE FROM feedback WHERE id = :id"), {"id": feedback(3).id})
    assert photos(database) == [b"4", b"5", b"6"]
    box.erase_creator(ANA)
    assert photos(database) == [b"4"]
    assert [one.photo for one in claims.feedback(9)] == [b"4"]


def test_a_claim_writes_no_photo(settings: ServingSettings, database: Database) -> None:
    box, claims, size = Outbox(database, max_bytes=10**9), Claims(database, "worker"), 300_000
    for number in range(8):
        box.add(feedback(number), os.urandom(size), "")
    database.scrub()
    log = settings.feedback_dir / "feedback.sqlite-wal"
    assert log.stat().st_size == 0
    assert len(claims.feedback(8)) == 8
    claims.release([feedback(number).id for number in range(8)])
    assert 0 < log.stat().st_size < size


@on_both
def test_killed_during_the_upgrade_nothing_is_lost(settings: ServingSettings) -> None:
    fill_old(settings)
    statements = range(1, 200, 2 if settings.database_url is None else 9)
    kills = len([*kill_at_statements(lambda: open_database(settings, Section.FEEDBACK), statements)])
    assert kills >= 3
    database = open_database(settings, Section.FEEDBACK)
    claimed = Claims(database, "worker").feedback(9)
    assert [one.photo.decode() for one in claimed] == [one.id for one in claimed] == [f"{n:032x}" for n in range(3)]
