from datetime import UTC, datetime

import pytest
from creators import creator, photo_of
from databases import BOTH
from sqlalchemy import text

from serving.creators import ANONYMOUS
from serving.feedback.outbox import Outbox
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.http.problems import ProblemError
from serving.settings import ServingSettings
from serving.state.database import Database
from serving.voice.repository import VoiceStore
from snap2caption.feedback import (
    Feedback,
)
from snap2caption.store import ObjectStore

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")
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
