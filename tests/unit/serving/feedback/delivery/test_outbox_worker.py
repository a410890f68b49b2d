import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from counting_store import CountingStore
from creators import creator, photo_of
from databases import BOTH, end_connections
from patience import until
from sqlalchemy import text

from serving.feedback.delivery.claims import Claims
from serving.feedback.outbox import Outbox
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.feedback.store.repository import record_departure
from serving.http.problems import ProblemError
from serving.settings import ServingSettings
from serving.state import advisory_locks
from serving.state.database import Database
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.feedback import Departure, Feedback, photo_key, pointer_key
from snap2caption.store import ObjectStore
from snap2caption.store.documents import read_object

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")
COLORS = ("red", "green", "blue")
SAID = Submission(rating=2, caption="seen", edited_caption="mine")


@on_both
def test_what_came_while_the_store_was_away_is_stored(
    settings: ServingSettings, away: ObjectStore, store: ObjectStore, voices: VoiceStore
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
    records = {info.key.rpartition("/")[2] for info in store.list("records/")}
    assert records == {f"{ids[0]}.json", f"{ids[2]}.json"}
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


@on_both
def test_a_record_of_a_newer_version_is_left_to_a_newer_one(
    settings: ServingSettings,
    store: ObjectStore,
    voices: VoiceStore,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    newer = feedback_service.accept(ANA, SAID, photo_of("red"), "newer").id
    rename = text("UPDATE feedback SET record = replace(record, :before, :after)")
    with database.transaction() as connection:
        connection.execute(rename, {"before": "rating", "after": "of_a_newer_version"})
    feedback_service.accept(ANA, SAID, photo_of("blue"), "older")
    feedback_service.start()
    # It holds up no other feedback, and a replica of the newer version gets it although this one tries again.
    until(lambda: len(list(store.list("records/"))) == 1)
    until(lambda: caplog.text.count(f"feedback can't be delivered to the store (id {newer})") >= 2)
    replica = Claims(database, "replica")
    until(lambda: [claimed.id for claimed in replica.feedback(1)] == [newer])
    replica.release([newer])
    with database.transaction() as connection:
        connection.execute(rename, {"before": "of_a_newer_version", "after": "rating"})
    until(lambda: len(list(store.list("records/"))) == 2)
    feedback_service.close()


class _DisconnectingStore(CountingStore):
    """A store that, while it takes the first photo, ends all connections to a database."""

    def __init__(self, store: ObjectStore, server: str, database: str) -> None:
        super().__init__(store)
        self._server, self._database = server, database
        self.ended = 0

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        if key.startswith("photos/") and not self.ended:
            self.ended = end_connections(self._server, self._database)
        super().put(key, source, sha256=sha256)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lost_database_is_no_fault_of_the_feedback(
    settings: ServingSettings,
    store: ObjectStore,
    voices: VoiceStore,
    postgresql: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert settings.database_url
    name = settings.database_url.get_secret_value().rpartition("/")[2]
    watched = _DisconnectingStore(store, postgresql, name)
    feedback_service = FeedbackService(settings, watched, voices)
    feedback_service.accept(ANA, SAID, photo_of("red"), None)
    feedback_service.start()
    until(lambda: len(list(store.list("records/"))) == 1 and not feedback_service._outbox.depth().feedback)
    feedback_service.close()
    assert watched.ended
    assert "can't be used" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_a_busy_replica_holds_waits(
    settings: ServingSettings,
    store: ObjectStore,
    voices: VoiceStore,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(advisory_locks, "_LONGEST_SECONDS", 0.1)
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.accept(ANA, SAID, photo_of("red"), None)
    with database.transaction() as connection:
        photo = json.loads(connection.execute(text("SELECT record FROM feedback")).scalar_one())["photo"]
    with database.hold(f"photo {photo}"):
        feedback_service.start()
        feedback_service.accept(BEN, SAID, photo_of("blue"), None)
        until(lambda: "Another replica is busy" in caplog.text and len(list(store.list("records/"))) == 1)
    until(lambda: len(list(store.list("records/"))) == 2)
    feedback_service.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@on_both
def test_an_erasure_that_fails_holds_up_no_other(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore, tmp_path: Path
) -> None:
    feedback_service = FeedbackService(settings, store, voices)
    feedback_service.start()
    ids = [feedback_service.accept(ANA, SAID, photo_of("red"), str(number)).id for number in range(10)]
    until(lambda: len(list(store.list("records/"))) == 10)
    damaged = tmp_path / "store" / pointer_key(ANA, ids[4])
    whole = damaged.read_bytes()
    damaged.write_bytes(b"no pointer")
    for identifier in ids:
        feedback_service.erase(ANA, identifier)
    until(lambda: [info.key for info in store.list("records/")] == [json.loads(whole)["record"]])
    damaged.write_bytes(whole)
    until(lambda: feedback_service.is_erased(ANA))
    feedback_service.close()
    assert {info.key.split("/")[0] for info in store.list()} == {"erased"}


@on_both
@pytest.mark.parametrize("seed", range(2))
def test_feedback_and_erasures_of_a_creator_keep_their_order(
    settings: ServingSettings, store: ObjectStore, voices: VoiceStore, tmp_path: Path, seed: int
) -> None:
    """Replicas with PostgreSQL, and processes that share a folder with SQLite; who is asked is drawn by lot."""
    chance = random.Random(seed)
    folders = [settings.feedback_dir, tmp_path / "other" if settings.database_url else settings.feedback_dir]
    services = [
        FeedbackService(settings.model_copy(update={"feedback_dir": folder}), store, voices) for folder in folders
    ]
    for service in services:
        service.start()
    kept: dict[str, set[str]] = {ANA: set(), BEN: set()}
    for number in range(80):
        who, service = chance.choice((ANA, BEN)), chance.choice(services)
        match chance.choices(("send", "erase", "leave", "wait"), (10, 4, 1, 2))[0]:
            case "send":
                kept[who].add(service.accept(who, SAID, photo_of(chance.choice(COLORS)), str(number)).id)
            case "erase" if kept[who]:
                service.erase(who, gone := chance.choice(sorted(kept[who])))
                kept[who].remove(gone)
            case "leave":
                service.erase_all(who)
                kept[who].clear()
            case "wait":
                until(lambda service=service, who=who: service.is_erased(who))
    until(lambda: all(services[0].is_erased(who) for who in kept))
    expected = {f"{identifier}.json" for ids in kept.values() for identifier in ids}
    until(lambda: {info.key.rpartition("/")[2] for info in store.list("records/")} == expected)
    for service in services:
        service.close()
    records = [read_object(store, info.key) for info in store.list("records/")]
    photos = {photo_key(Feedback.model_validate_json(record).photo) for record in records}
    assert {info.key for info in store.list("photos/")} == photos
    assert len(list(store.list("uses/"))) == len(list(store.list("creators/"))) == len(expected)


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
