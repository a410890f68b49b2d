import multiprocessing
import os
import signal

import pytest
from creators import creator, photo_of
from databases import BOTH
from patience import LONGEST, until
from sqlalchemy import text

from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.http.problems import ProblemError
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.store import ObjectStore

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")
SAID = Submission(rating=2, caption="seen", edited_caption="mine")


class Dying(VoiceStore):
    """Voices whose process is killed when it adds a caption: before it is written, or after."""

    after = False

    def add(self, creator: str, caption: str, identifier: str | None = None) -> None:
        if self.after:
            super().add(creator, caption, identifier)
        os.kill(os.getpid(), signal.SIGKILL)


class DyingLater(Dying):
    after = True


def _take(settings: ServingSettings, store: ObjectStore, kind: type[Dying]) -> None:
    FeedbackService(settings, store, kind(open_database(settings, Section.VOICES))).accept(
        ANA, SAID, photo_of("red"), "once"
    )


@pytest.mark.parametrize("kind", [Dying, DyingLater])
def test_a_voice_that_a_kill_cut_off_is_learned_once(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore, kind: type[Dying]
) -> None:
    voices.add(ANA, "earlier")
    process = multiprocessing.get_context("spawn").Process(target=_take, args=(settings, store, kind))
    process.start()
    process.join(LONGEST)
    assert process.exitcode == -signal.SIGKILL
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.start()
    until(lambda: voices.captions(ANA) == ["mine", "earlier"])
    # The creator erases their voice: feedback from before must not bring it back.
    until(lambda: len(list(store.list("records/"))) == 1)
    feedback_service.close()
    voices.forget(ANA)
    again = FeedbackService(settings, store, voices)
    again.start()
    assert again.accept(ANA, SAID, photo_of("red"), "once").repeated
    again.accept(BEN, SAID, photo_of("red"), None)
    until(lambda: len(list(store.list("records/"))) == 2)
    again.close()
    assert (voices.captions(ANA), voices.captions(BEN)) == ([], ["mine"])


@on_both
def test_voices_whose_table_fails_come_when_it_works_again(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    database = open_database(settings, Section.VOICES)
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE captions RENAME TO away"))
    first = feedback_service.accept(ANA, SAID, photo_of("red"), None)
    feedback_service.accept(ANA, SAID.model_copy(update={"edited_caption": "mine too"}), photo_of("red"), None)
    with pytest.raises(ProblemError, match="disk has an error"):
        feedback_service.erase(ANA, first.id)
    with database.transaction() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO captions"))
    feedback_service.start()
    until(lambda: voices.captions(ANA) == ["mine too"])
    feedback_service.close()
    database.close()
