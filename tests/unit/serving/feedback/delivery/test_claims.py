import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from creators import creator
from databases import BOTH
from sqlalchemy import event, insert, text, update

from serving.feedback.delivery.claims import ClaimedDeparture, Claims
from serving.feedback.outbox import Outbox
from serving.state.database import Database
from serving.state.tables import departures, outbox
from snap2caption.feedback import Feedback

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("database_url", BOTH, indirect=True)]

ANA, BEN = creator("ana"), creator("ben")


def fill(database: Database, number: int, who: str = ANA, start: int = 0) -> list[str]:
    """Add so many feedbacks, and return their ids."""
    box = Outbox(database, max_bytes=10**9)
    ids = [f"{start + each:032}" for each in range(number)]
    for identifier in ids:
        box.add(Feedback(id=identifier, creator=who, received=datetime.now(UTC), photo="f" * 64), b"photo", "digest")
    return ids


def expire(database: Database) -> None:
    """Let a minute pass for all claims."""
    with database.transaction() as connection:
        for table in (outbox, departures):
            connection.execute(update(table).values(claimed_until=table.c.claimed_until - 1000))


def test_an_entry_is_one_workers_at_a_time(database: Database) -> None:
    here, there = (Claims(database, name) for name in ("here", "there"))
    ids = fill(database, 12)
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda turn: (here, there)[turn % 2].feedback(2), range(8)))
    assert sorted(entry.id for claimed in claims for entry in claimed) == ids
    assert here.feedback(99) == there.feedback(99) == []
    # What one gives back, or has not delivered within its time, the other gets.
    here.release(ids)
    freed = [entry.id for entry in there.feedback(99)]
    assert freed
    assert here.feedback(99) == []
    expire(database)
    assert [entry.id for entry in here.feedback(99)] == ids
    # A worker that lost its claims meanwhile does not give back those of the other one.
    there.release(ids)
    assert there.feedback(99) == []


def test_an_erasure_waits_for_the_delivery_of_its_feedback(database: Database) -> None:
    here, there, box = Claims(database, "here"), Claims(database, "there"), Outbox(database, max_bytes=10**6)
    first, second = fill(database, 2)
    here.feedback(99)
    box.erase(first, ANA)
    assert there.erasures(99) == []
    here.mark_stored([first, second])
    (erasure,) = there.erasures(99)
    assert (erasure.id, erasure.creator) == (first, ANA)
    there.mark_erased([erasure])
    assert not box.is_erasing(ANA)
    assert box.depth().erasures == 0
    assert box.find(second).state == "stored"


def test_creators_take_turns_with_their_erasures(database: Database) -> None:
    claims, box = Claims(database, "here"), Outbox(database, max_bytes=10**6)
    fill(database, 20)
    (bens,) = fill(database, 1, BEN, 20)
    for who in (ANA, BEN):
        box.erase_creator(who)
    assert bens in {entry.id for entry in claims.erasures(2)}


def test_what_a_killed_worker_had_is_its_successors_at_once(database: Database) -> None:
    box, there = Outbox(database, max_bytes=10**6), Claims(database, "there")
    ids = fill(database, 3)
    box.erase(ids[0], ANA)
    box.erase_creator(BEN)

    def take(claims: Claims) -> tuple[int, int, bool]:
        return len(claims.feedback(9)), len(claims.erasures(9)), claims.departure() is not None

    assert take(Claims(database, "here")) == (2, 1, True)
    assert take(there) == (0, 0, False)
    successor = Claims(database, "here")
    successor.release_all()
    assert take(successor) == (2, 1, True)
    there.release_all()
    assert take(there) == (0, 0, False)
    expire(database)
    assert take(there) == (2, 1, True)


def test_a_departure_requested_again_is_done_again(database: Database) -> None:
    claims, box = Claims(database, "here"), Outbox(database, max_bytes=10**6)
    box.erase_creator(ANA)
    departure = claims.departure()
    claims.expand(departure, ["1" * 32, "2" * 32])
    claims.expand(departure, ["2" * 32])
    assert claims.departure() is None
    box.erase_creator(ANA)
    claims.finish(departure)
    again = claims.departure()
    assert isinstance(again, ClaimedDeparture)
    assert again.asked > departure.asked
    claims.finish(again)
    assert claims.departure() is None
    assert {entry.id for entry in claims.erasures(9)} == {"1" * 32, "2" * 32}
    assert box.is_erasing(ANA)


def test_a_long_backlog_is_not_sorted_or_read(database: Database) -> None:
    row = {"creator": "c", "submission": "", "since": 1.0, "bytes": 9, "record": "{}", "photo": b"photo"}
    states = ("waiting", "stored", "erased")
    rows = [row | {"id": str(number), "state": states[number % 3]} for number in range(3000)]
    with database.transaction() as connection:
        connection.execute(insert(outbox), rows)
        postgresql = connection.dialect.name == "postgresql"
    with database.single_statement() as connection:
        connection.execute(text("VACUUM ANALYZE feedback" if postgresql else "ANALYZE"))
    plans: list[str] = []

    def explain(_: object, cursor: Any, statement: str, parameters: Any, *__: object) -> None:
        """Ask the database how it runs a query that is about to be sent."""
        if statement.startswith("SELECT") and "FROM feedback" in statement:
            cursor.execute(f"EXPLAIN {'' if postgresql else 'QUERY PLAN'} {statement}", parameters)
            plans.append(str(cursor.fetchall()))

    event.listen(database._engine, "before_cursor_execute", explain)
    assert len(Claims(database, "here").feedback(8)) == 8
    assert Outbox(database, max_bytes=1).depth().feedback == 1000
    claim, depth = plans
    assert not re.search("Sort|TEMP B-TREE", claim), claim
    assert ("Index Only Scan" if postgresql else "COVERING INDEX") in depth, depth
