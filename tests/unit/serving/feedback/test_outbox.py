import time
from datetime import UTC, datetime

import pytest
from creators import creator, photo_of
from databases import BOTH, at_revision
from sqlalchemy import insert, text

from serving.creators import ANONYMOUS
from serving.feedback.creator_move import move_creator
from serving.feedback.delivery.claims import ClaimedDeparture, Claims
from serving.feedback.outbox import Outbox
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.http.problems import ProblemError
from serving.settings import ServingSettings
from serving.state import tables
from serving.state.database import Database
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.feedback import (
    Feedback,
)
from snap2caption.store import ObjectStore

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN, CAM = creator("ana"), creator("ben"), creator("cam")
SAID = Submission(rating=2, caption="seen", edited_caption="mine")


@on_both
def test_an_erasure_waits_since_it_was_asked_for(
    database: Database,
) -> None:
    outbox = Outbox(database, max_bytes=10**6)
    feedback = Feedback(id="1" * 32, creator=ANA, received=datetime.now(UTC), photo="f" * 64)
    outbox.add(feedback, b"photo", "digest")
    with database.transaction() as connection:
        connection.execute(text("UPDATE feedback SET since = since - 1000"))
    assert outbox.depth().oldest >= 1000
    assert outbox.depth().size == len(feedback.model_dump_json()) + len(b"photo")
    outbox.erase(feedback.id, ANA)
    assert outbox.depth().oldest < 1000
    assert outbox.depth().size == 0
    with database.transaction() as connection:
        connection.execute(text("UPDATE feedback SET since = since - 1000"))
    # A repeated request does not reset the waiting time.
    outbox.erase(feedback.id, ANA)
    outbox.erase_creator(ANA)
    assert outbox.depth().oldest >= 1000
    database.close()


@on_both
def test_what_waits_is_counted_whatever_happens_to_it(database: Database) -> None:
    outbox, claims = Outbox(database, max_bytes=10**6), Claims(database, "worker")

    def counted() -> dict[str, int]:
        with database.transaction() as connection:
            rows = {row.creator: row.bytes for row in connection.execute(text("SELECT creator, bytes FROM waiting"))}
            sizes = text("SELECT creator, sum(bytes) AS bytes FROM feedback WHERE bytes > 0 GROUP BY creator")
            actual = {row.creator: int(row.bytes) for row in connection.execute(sizes)}
        assert rows == {"": sum(actual.values()), **actual}
        return actual

    for number, who in enumerate((ANA, BEN, ANA, ANONYMOUS, BEN, ANA)):
        feedback = Feedback(id=f"{number:032x}", creator=who, received=datetime.now(UTC), photo="f" * 64)
        outbox.add(feedback, b"photo" * number, "digest")
        assert outbox.add(feedback, b"photo", "digest") is not None
        assert counted()[who]
    before = counted()
    claimed = claims.feedback(2)
    assert counted() == before
    claims.mark_stored([one.id for one in claimed])
    assert sum(counted().values()) < sum(before.values())
    outbox.erase(f"{4:032x}", BEN)
    assert counted().keys() == {ANA, ANONYMOUS}
    move_creator(database, ANA, CAM)
    assert counted().keys() == {CAM, ANONYMOUS}
    claims.expand(ClaimedDeparture(CAM, 1.0), [f"{2:032x}", "9" * 32])
    claims.mark_erased(claims.erasures(10))
    assert counted().keys() == {CAM, ANONYMOUS}
    outbox.erase_creator(CAM)
    outbox.erase_creator(ANONYMOUS)
    assert counted() == {}


@on_both
def test_what_waits_at_an_upgrade_is_counted(settings: ServingSettings) -> None:
    waiting = {"submission": "", "state": "waiting", "since": 0.0, "bytes": 100}
    with at_revision(settings, "feedback_3") as connection:
        rows = [{"id": f"{number:032x}", "creator": who, **waiting} for number, who in enumerate((ANA, BEN, ANA))]
        connection.execute(insert(tables.outbox), rows)
    counts = text("SELECT creator, bytes FROM waiting ORDER BY creator")
    after = open_database(settings, Section.FEEDBACK)
    with after.transaction() as connection:
        assert {row.creator: row.bytes for row in connection.execute(counts)} == {"": 300, ANA: 200, BEN: 100}
    Outbox(after, max_bytes=10**6).erase_creator(ANA)
    with after.transaction() as connection:
        assert {row.creator: row.bytes for row in connection.execute(counts)} == {"": 100, BEN: 100}
    after.close()


def test_the_room_is_found_as_fast_beside_a_long_backlog(database: Database) -> None:
    outbox = Outbox(database, max_bytes=10**9)
    waiting = {"submission": "", "state": "waiting", "since": 0.0, "bytes": 100}
    rows = [{"id": f"{number:032x}", "creator": creator(str(number % 1000)), **waiting} for number in range(20_000)]
    with database.transaction() as connection:
        connection.execute(insert(tables.outbox), rows)
        grouped = text("SELECT creator, sum(bytes) FROM feedback WHERE bytes > 0 GROUP BY creator")
        checks, scans = [], []
        for _ in range(5):
            began = time.perf_counter()
            outbox._check_room(connection, ANA, 100)
            checked = time.perf_counter()
            connection.execute(grouped).all()
            checks.append(checked - began)
            scans.append(time.perf_counter() - checked)
    assert min(checks) < min(scans) / 4


@on_both
def test_a_full_outbox_refuses_and_keeps_what_it_has(
    settings: ServingSettings, away: ObjectStore, voices: VoiceStore
) -> None:
    small = settings.model_copy(update={"feedback_spool_bytes": 3000})
    feedback_service = FeedbackService(small, away, voices)
    feedback_service.start()
    taken = feedback_service.accept(ANA, SAID, photo_of("red"), "first")
    with pytest.raises(ProblemError) as refusal:
        feedback_service.accept(ANA, SAID, photo_of("red"), "second")
    assert (refusal.value.status, refusal.value.reason, refusal.value.retry_after) == (503, "spool_full", 60)
    assert feedback_service.accept(ANA, SAID, photo_of("red"), "first").id == taken.id
    feedback_service.close()


@on_both
def test_a_creator_leaves_as_much_room_as_they_take(
    settings: ServingSettings, away: ObjectStore, voices: VoiceStore
) -> None:
    feedback_service = FeedbackService(settings.model_copy(update={"feedback_spool_bytes": 40_000}), away, voices)

    def take_all(who: str) -> None:
        while True:
            feedback_service.accept(who, SAID, photo_of("red"), None)

    for who in (ANA, BEN, ANONYMOUS):
        with pytest.raises(ProblemError, match="Too much feedback"):
            take_all(who)
    with feedback_service._database.transaction() as connection:
        held = {
            row.creator: int(row.sum)
            for row in connection.execute(text("SELECT creator, sum(bytes) AS sum FROM feedback GROUP BY creator"))
        }
    assert 18_000 < held[ANA] <= 20_000
    assert 8_000 < held[BEN] <= (40_000 - held[ANA]) / 2
    # Without API keys there is only one creator, so nothing is reserved for others.
    assert sum(held.values()) > 38_000
    feedback_service.close()
