import hashlib
import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from creators import creator, headers, photo_of
from patience import until
from starlette.testclient import TestClient
from typer.testing import CliRunner

from serving.app import build_app
from serving.feedback.delivery.delivery_lock import DeliveryLock
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.feedback.store import repository
from serving.keys.migration import migrate
from serving.keys.store import KeyStore
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.__main__ import build_app as build_commands
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback
from snap2caption.store import ObjectStore, open_store
from snap2caption.store.file import FileStore

pytestmark = pytest.mark.unit

ANA, BEN = creator("ana"), creator("ben")


@pytest.fixture
def settings(tmp_path: Path) -> ServingSettings:
    return ServingSettings(
        cache_dir=tmp_path / "cache",
        feedback_dir=tmp_path / "feedback",
        voice_file=tmp_path / "voice.sqlite",
        key_file=tmp_path / "keys.sqlite",
        api_key_hashes=(ANA, BEN),
    )


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "store").as_uri()


@pytest.fixture
def before(settings: ServingSettings, uri: str) -> dict[str, str]:
    """What there was under the keys' digests: of Ana one feedback stored, one erased, one that waits; of Ben one
    stored. By what it is, its id.
    """
    store, ids = open_store(uri), {}
    feedback_service = FeedbackService(settings, store, VoiceStore(open_database(settings, Section.VOICES)))
    feedback_service.start()
    for name, who in (("stored", ANA), ("erased", ANA), ("theirs", BEN)):
        said = Submission(rating=5, caption=f"Words of {name}")
        ids[name] = feedback_service.accept(who, said, photo_of("red"), name).id
    until(lambda: len(list(store.list("records/"))) == 3)
    feedback_service.erase(ANA, ids["erased"])
    until(lambda: feedback_service.is_erased(ANA))
    feedback_service.close()
    waiting = FeedbackService(settings, store, VoiceStore(open_database(settings, Section.VOICES)))
    ids["waits"] = waiting.accept(ANA, Submission(rating=5, caption="Words of waits"), photo_of("blue"), None).id
    waiting._database.close()
    return ids


def records(store: ObjectStore) -> dict[str, Feedback]:
    found = {}
    for info in list(store.list("records/")):
        with store.get(info.key) as stream:
            one = Feedback.model_validate_json(stream.read())
        found[one.id] = one
    return found


def check_moved(
    settings: ServingSettings, uri: str, served: ServedModel, before: dict[str, str], tmp_path: Path
) -> None:
    """The old keys still work, all is there, nothing names a key any more, and all can be erased by either creator
    alone.
    """
    former = KeyStore(open_database(settings, Section.KEYS)).former()
    store = open_store(uri)
    keyless = settings.model_copy(update={"api_key_hashes": ()})
    feedback_service = FeedbackService(keyless, store, VoiceStore(open_database(settings, Section.VOICES)))
    with TestClient(build_app(keyless, lambda: served, feedback_service=feedback_service)) as client:
        until(lambda: len(records(store)) == 3)
        found = records(store)
        assert {name: found[before[name]].creator for name in ("stored", "waits", "theirs")} == {
            "stored": former[ANA],
            "waits": former[ANA],
            "theirs": former[BEN],
        }
        voice = client.get("/v1/voice", headers=headers("ana")).json()["captions"]
        assert sorted(voice) == ["Words of stored", "Words of waits"]
        # Erased feedback is still known as its creator's, and only theirs.
        assert client.delete(f"/v1/feedback/{before['erased']}", headers=headers("ana")).json() == {"erased": True}
        assert client.delete(f"/v1/feedback/{before['erased']}", headers=headers("ben")).status_code == 404
        names = [str(path) for path in (tmp_path / "store").rglob("*")]
        assert not [name for name in names if ANA in name or BEN in name]
        for folder in (tmp_path / "store", tmp_path / "feedback", tmp_path / "voice.sqlite"):
            for path in [folder] if folder.is_file() else folder.rglob("*"):
                assert not path.is_file() or (ANA.encode() not in path.read_bytes()), path
        assert client.delete("/v1/feedback", headers=headers("ana")).json() == {"erased": True}
        assert [*records(store)] == [before["theirs"]]


def test_all_of_a_creator_moves_to_an_id_that_tells_of_no_key(
    settings: ServingSettings, uri: str, served: ServedModel, before: dict[str, str], tmp_path: Path
) -> None:
    moved = migrate(settings, uri)
    assert (moved.creators, moved.feedback) == (2, 2)
    again = migrate(settings, uri)
    assert (again.creators, again.feedback) == (2, 0)
    check_moved(settings, uri, served, before, tmp_path)


class DyingStore(FileStore):
    """Ends its process at the call of a number."""

    calls = 0
    dies_at = 0

    def count(self) -> None:
        DyingStore.calls += 1
        if DyingStore.calls == DyingStore.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        self.count()
        super().put(key, source, sha256=sha256)
        self.count()

    def delete(self, key: str) -> None:
        self.count()
        super().delete(key)
        self.count()


def die_at(call: int, settings: ServingSettings, folder: Path) -> None:
    DyingStore.dies_at = call
    from serving.keys import migration

    migration.open_store = lambda _: DyingStore(folder)
    migrate(settings, "")


def test_killed_anywhere_it_is_gone_on_with(
    settings: ServingSettings, uri: str, served: ServedModel, before: dict[str, str], tmp_path: Path
) -> None:
    process = multiprocessing.get_context("fork")
    for call in range(1, 100):
        dying = process.Process(target=die_at, args=(call, settings, tmp_path / "store"))
        dying.start()
        dying.join()
        if dying.exitcode == 0:
            break
        assert dying.exitcode == -signal.SIGKILL
    assert call > 3
    check_moved(settings, uri, served, before, tmp_path)


def test_what_all_was_to_be_erased_of_is_not_brought_back(
    settings: ServingSettings, uri: str, before: dict[str, str]
) -> None:
    store = open_store(uri)
    repository.record_departure(store, ANA, 4e9)
    migrate(settings, uri)
    assert {one.id for one in records(store).values()} == {before["theirs"]}
    now = KeyStore(open_database(settings, Section.KEYS)).former()[ANA]
    assert repository.is_known(store, now)


def test_it_does_not_move_what_a_service_delivers(settings: ServingSettings, uri: str, before: dict[str, str]) -> None:
    with DeliveryLock(settings.feedback_dir) as lock:
        assert lock.take()
        with pytest.raises(UserError, match="stop it"):
            migrate(settings, uri)


def test_an_operator_erases_by_the_creators_id(
    settings: ServingSettings, uri: str, before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("feedback_dir", "voice_file", "key_file"):
        monkeypatch.setenv(f"SNAP2CAPTION_SERVING_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("SNAP2CAPTION_SERVING_API_KEY_HASHES", json.dumps([ANA, BEN]))
    monkeypatch.setenv("SNAP2CAPTION_FEEDBACK_URI", uri)
    commands = build_commands()

    def run(*command: str) -> object:
        result = CliRunner().invoke(commands, [*command, "--json"])
        if result.exception:
            raise result.exception
        return json.loads(result.stdout)

    assert run("key", "migrate") == {"creators": 2, "feedback": 2}
    ana = KeyStore(open_database(settings, Section.KEYS)).former()[ANA]
    for _ in range(2):
        assert run("feedback", "erase", "--creator", ana) == {"creator": ana, "erased": True}
        assert [*records(open_store(uri))] == [before["theirs"]]
    assert VoiceStore(open_database(settings, Section.VOICES)).captions(ana) == []
    for nobody in (hashlib.sha256(b"nobody").hexdigest(), "../x"):
        with pytest.raises(UserError, match="they have sent nothing yet"):
            run("feedback", "erase", "--creator", nobody)
