import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from creators import creator, photo_of
from databases import BOTH
from patience import LONGEST, until
from sqlalchemy import text

from serving.creators import ANONYMOUS
from serving.feedback.outbox import Outbox, OutboxEntry
from serving.feedback.repository import erase, record_departure
from serving.feedback.request_cache import CachedRequest, RequestCache
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.http.problems import ProblemError
from serving.settings import ServingSettings
from serving.state.database import Database, StateError
from serving.state.opening import open_database
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.feedback import (
    Departure,
    Feedback,
    Pointer,
    Words,
    photo_key,
    pointer_key,
    record_key,
    use_key,
)
from snap2caption.store import ObjectStore, open_store, retry
from snap2caption.store.documents import put_document

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")
SAID = Submission(rating=2, caption="seen", edited_caption="mine")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """A store where nobody listens."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.001)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    return open_store("s3://bucket/feedback")


@pytest.fixture
def database(settings: ServingSettings) -> Database:
    return open_database(settings, Section.FEEDBACK)


@on_both
def test_what_came_while_the_store_was_away_keeps_its_order(
    settings: ServingSettings, away: ObjectStore, store: ObjectStore, voices: VoiceStore, tmp_path: Path
) -> None:
    feedback_service = FeedbackService(settings, away, voices)
    feedback_service.start()
    ids = [feedback_service.accept(ANA, SAID, photo_of(color), color).id for color in ("red", "blue", "green")]
    feedback_service.erase(ANA, ids[1])
    assert not feedback_service.is_erased(ANA, ids[1])
    feedback_service.close()
    again = FeedbackService(settings, store, voices)
    again.start()
    # The same submission is still recognized.
    assert again.accept(ANA, SAID, photo_of("red"), "red").repeated
    until(lambda: len(list(store.list("records/"))) == 2 and again.is_erased(ANA))
    again.close()
    records = [tmp_path / "store" / info.key for info in store.list("records/")]
    records.sort(key=lambda path: path.stat().st_mtime_ns)
    assert [path.stem for path in records] == [ids[0], ids[2]]
    assert [info.key for info in store.list("erased/")] == [f"erased/{ids[1]}.json"]


@on_both
def test_all_that_a_creator_sent_is_erased_later(
    settings: ServingSettings, away: ObjectStore, store: ObjectStore, voices: VoiceStore, tmp_path: Path
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.start()
    feedback_service.accept(ANA, SAID, photo_of("red"), None)
    until(lambda: len(list(store.list("records/"))) == 1)
    feedback_service.close()
    # The erasure is requested on another machine, which does not know the feedback.
    other = settings.model_copy(update={"feedback_dir": tmp_path / "other"})
    feedback_service = FeedbackService(other, away, voices)
    feedback_service.start()
    feedback_service.erase_all(ANA)
    feedback_service.close()
    feedback_service = FeedbackService(other, store, voices)
    assert not feedback_service.is_erased(ANA)
    feedback_service.start()
    until(lambda: feedback_service.is_erased(ANA))
    feedback_service.close()
    assert {info.key.split("/")[0] for info in store.list()} == {"erased", "left"}


@on_both
def test_what_waited_elsewhere_when_all_was_erased_is_dropped(
    settings: ServingSettings, store: ObjectStore, away: ObjectStore, voices: VoiceStore, tmp_path: Path
) -> None:
    feedback_service = FeedbackService(settings, away, voices)
    feedback_service.accept(ANA, SAID, photo_of("red"), "before")
    feedback_service.accept(BEN, SAID, photo_of("red"), "bens")
    feedback_service.close()
    other = FeedbackService(settings.model_copy(update={"feedback_dir": tmp_path / "other"}), store, voices)
    other.start()
    other.erase_all(ANA)
    until(lambda: other.is_erased(ANA))
    other.close()
    again = FeedbackService(settings, store, voices)
    again.start()
    later = again.accept(ANA, SAID, photo_of("red"), "after")
    until(lambda: len(list(store.list("records/"))) == 2)
    again.close()
    assert {info.key.split("/")[1] for info in store.list("creators/")} == {ANA, BEN}
    assert [info.key.rpartition("/")[2] for info in store.list(f"creators/{ANA}/")] == [f"{later.id}.json"]
    # A machine whose store was unreachable records an earlier request afterwards: the latest request counts.
    record_departure(store, ANA, 1.0)
    (record,) = store.list("left/")
    with store.get(record.key) as stream:
        assert Departure.model_validate_json(stream.read()).asked.year > 1970


def test_of_what_was_erased_the_file_knows_the_id_and_nobody(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.start()
    ids = [feedback_service.accept(key, SAID, photo_of("red"), "one").id for key in (ANA, BEN)]
    until(lambda: len(list(store.list("records/"))) == 2)
    feedback_service.erase(ANA, ids[0])
    until(lambda: feedback_service.is_erased(ANA))

    def holds(creator: str) -> bool:
        return any(creator.encode() in path.read_bytes() for path in settings.feedback_dir.iterdir())

    # The write-ahead log is truncated shortly after the erasure is done.
    until(lambda: not holds(ANA))
    assert holds(BEN)
    # Only the creator may repeat the request.
    feedback_service.erase(ANA, ids[0])
    with pytest.raises(ProblemError, match="no feedback with this id"):
        feedback_service.erase(BEN, ids[0])
    with pytest.raises(ProblemError, match="was erased"):
        feedback_service.accept(ANA, SAID, photo_of("red"), "one")
    feedback_service.close()


def test_what_a_kill_left_in_the_log_goes_with_the_next_start(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore
) -> None:
    file = settings.feedback_dir / "feedback.sqlite"
    feedback_service, log = FeedbackService(settings, store, voices), file.with_name("feedback.sqlite-wal")
    feedback_service.accept(ANA, SAID, photo_of("red"), "one")
    # As after a kill before the log was truncated: this second connection keeps SQLite from doing so.
    other = SQLiteDatabase(file, Section.FEEDBACK)
    Outbox(other, max_bytes=10**6).erase_creator(ANA)
    assert ANA.encode() in log.read_bytes()
    feedback_service.start()
    until(lambda: feedback_service.is_erased(ANA) and ANA.encode() not in log.read_bytes())
    feedback_service.close()
    other.close()


def test_a_record_of_a_newer_version_is_not_lost(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore, caplog: pytest.LogCaptureFixture
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.accept(ANA, SAID, photo_of("red"), "one")
    database = open_database(settings, Section.FEEDBACK)
    rename = text("UPDATE feedback SET record = replace(record, :before, :after)")
    with database.transaction() as connection:
        connection.execute(rename, {"before": "rating", "after": "of_a_newer_version"})
    feedback_service.start()
    until(lambda: "feedback can't be delivered to the store" in caplog.text)
    assert not list(store.list())
    with database.transaction() as connection:
        connection.execute(rename, {"before": "of_a_newer_version", "after": "rating"})
    until(lambda: len(list(store.list("records/"))) == 1)
    feedback_service.close()
    database.close()


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
def test_an_entry_is_one_workers_at_a_time(database: Database, settings: ServingSettings) -> None:
    here, there = (Outbox(database, max_bytes=10**6, worker=name) for name in ("here", "there"))
    ids = [f"{number:032}" for number in range(12)]
    for identifier in ids:
        here.add(Feedback(id=identifier, creator=ANA, received=datetime.now(UTC), photo="f" * 64), b"photo", "digest")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda turn: (here, there)[turn % 2].claim(2), range(8)))
    assert sorted(entry.id for claimed in claims for entry in claimed) == ids
    assert here.claim(99) == there.claim(99) == []
    # What one gives back, or has not delivered within its time, the other gets.
    here.release()
    freed = there.claim(99)
    assert freed
    assert here.claim(99) == []
    with database.transaction() as connection:
        connection.execute(text("UPDATE feedback SET claimed_until = claimed_until - 1000"))
    assert [entry.id for entry in here.claim(99)] == ids
    # Its erasure, requested during its delivery, is the next operation on it, and not before that ends.
    here.erase(ids[0], ANA)
    assert there.claim(99) == []
    here.mark_done(
        OutboxEntry(ids[0], ANA, Feedback(id=ids[0], creator=ANA, received=datetime.now(UTC), photo="f" * 64), b"")
    )
    (erasure,) = there.claim(99)
    assert (erasure.id, erasure.feedback) == (ids[0], None)
    there.mark_done(erasure)
    assert there.depth().erasures == 0
    database.close()


def test_what_a_kill_left_of_an_erased_feedback_goes_too(store: ObjectStore, tmp_path: Path) -> None:
    feedback = Feedback(id="1" * 32, creator=ANA, received=datetime.now(UTC), photo="f" * 64)
    keys = (record_key(feedback), photo_key(feedback.photo), pointer_key(ANA, feedback.id))
    for cut_off in range(3):
        # Killed while writing the pointer, the photo, or the record (in another folder).
        put_document(store, use_key(feedback.photo, feedback.id), feedback)
        if cut_off:
            pointer = Pointer(record=record_key(feedback), photo=feedback.photo, received=feedback.received)
            put_document(store, pointer_key(ANA, feedback.id), pointer)
        draft = (tmp_path / "store" / keys[cut_off - 1]).with_name(".put-0123")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(b"words and pixels")
        erase(store, ANA, feedback.id)
        assert not draft.exists()


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


@on_both
def test_many_at_once_from_one_key_stay_correct(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.start()
    photo = photo_of("red")

    def send(number: int) -> str:
        return feedback_service.accept(ANA, SAID, photo, str(number % 50)).id

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(send, range(200)))
    assert len(set(ids)) == 50
    until(lambda: len(list(store.list("records/"))) == 50)
    feedback_service.close()
    assert len(list(store.list("photos/"))) == 1


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
