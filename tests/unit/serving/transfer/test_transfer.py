import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from creators import creator, photo_of
from pydantic import SecretStr
from sqlalchemy import insert, select
from statement_kills import kill_at_statements
from typer.testing import CliRunner

from serving.feedback.delivery.delivery_lock import DeliveryLock
from serving.feedback.outbox import Outbox
from serving.feedback.request_cache import CachedRequest
from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.keys.store import KeyStore
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import SCHEMAS, Section, captions, waiting_bytes
from serving.transfer.transfer import transfer
from serving.voice.repository import VoiceStore
from snap2caption.__main__ import build_app
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, Words
from snap2caption.store import open_store

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]

ANA, BEN = creator("ana"), creator("ben")
MOVED = (Section.KEYS, Section.VOICES, Section.FEEDBACK)
SAID = Submission(rating=2, caption="seen", edited_caption="mine 🌅")


@pytest.fixture
def settings(tmp_path: Path, database_url: SecretStr) -> ServingSettings:
    return ServingSettings(
        database_url=database_url,
        feedback_dir=tmp_path / "feedback",
        voice_file=tmp_path / "voice.sqlite",
        key_file=tmp_path / "keys.sqlite",
    )


@pytest.fixture
def files(settings: ServingSettings) -> ServingSettings:
    """The settings of the state before: files that hold something of everything."""
    files = settings.model_copy(update={"database_url": None})
    keys = KeyStore(open_database(files, Section.KEYS))
    keys.add("c" * 64)
    keys.adopt(ANA)
    keys.close()
    database_of_voices = open_database(files, Section.VOICES)
    voices = VoiceStore(database_of_voices)
    for number in range(40):
        voices.add(BEN, f"caption {number}")
    store = open_store((settings.feedback_dir / "nowhere").as_uri())
    service = FeedbackService(files, store, voices)
    for number in range(40):
        service.accept(ANA, SAID, photo_of("red"), f"key {number}")
    service.erase(ANA, service.accept(ANA, SAID, photo_of("blue"), "erased").id)
    service.erase_all(BEN)
    service.keep("request", ANA, CachedRequest(variants=(Words(caption="hi"),), model_version="m/1"), photo_of("teal"))
    service.close()
    database = open_database(files, Section.FEEDBACK)
    outbox = Outbox(database, max_bytes=10**6)
    assert outbox.is_first_rating(ANA, "request", 0)
    words = Words(caption="not in the voice yet")
    outbox.add(Feedback(id="1" * 32, creator=ANA, received=datetime.now(UTC), photo="f" * 64, edited=words), b"", "")
    database.close()
    with database_of_voices.transaction() as connection:
        # An earlier version saved whatever was sent.
        connection.execute(insert(captions).values(creator=BEN, id="old", caption="after\0 all", added=1.0))
    voices.close()
    return files


def rows(settings: ServingSettings) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the state."""
    found = {}
    for section in MOVED:
        database = open_database(settings, section)
        with database.transaction() as connection:
            for table in SCHEMAS[section].sorted_tables:
                values = (tuple(_visible(value) for value in row) for row in connection.execute(select(table)))
                found[table.name] = sorted(values, key=repr)
        database.close()
    return found


def test_all_of_it_moves_once_and_erased_data_stay_erased(
    settings: ServingSettings, files: ServingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(files)
    assert all(before.values()), "something of everything"
    for name in ("feedback_dir", "voice_file", "key_file"):
        monkeypatch.setenv(f"SNAP2CAPTION_SERVING_{name.upper()}", str(getattr(settings, name)))
    assert settings.database_url
    monkeypatch.setenv("SNAP2CAPTION_SERVING_DATABASE_URL", settings.database_url.get_secret_value())

    def run() -> dict[str, int] | None:
        result = CliRunner().invoke(build_app(), ["state", "migrate", "--json"], catch_exceptions=False)
        copied: dict[str, int] | None = json.loads(result.stdout)["copied"]
        return copied

    # What waits is counted by the database itself.
    assert run() == {table: len(found) for table, found in before.items() if table != waiting_bytes.name}
    assert rows(settings) == before == rows(files)
    voices = VoiceStore(open_database(settings, Section.VOICES))
    service = FeedbackService(settings, open_store((settings.feedback_dir / "nowhere").as_uri()), voices)
    assert service.accept(ANA, SAID, photo_of("red"), "key 7").repeated
    assert not service.accept(ANA, SAID, photo_of("red"), "new").repeated
    service.erase_all(ANA)
    now = rows(settings)
    assert run() is None
    assert rows(settings) == now
    service.close()


def _visible(value: object) -> object:
    return value.replace("\0", "") if isinstance(value, str) else value


def test_killed_anywhere_it_is_all_or_nothing(settings: ServingSettings, files: ServingSettings) -> None:
    before, kills = rows(files), 0
    for _ in kill_at_statements(lambda: transfer(settings), range(1, 200, 4), "postgresql"):
        kills += 1
        assert not any(rows(settings).values())
    assert kills >= 5
    assert rows(settings) == before


def test_it_takes_no_state_of_others_and_no_files_in_use(settings: ServingSettings, files: ServingSettings) -> None:
    with pytest.raises(UserError, match="set SNAP2CAPTION_SERVING_DATABASE_URL"):
        transfer(files)
    with DeliveryLock(files.feedback_dir) as lock:
        assert lock.take()
        with pytest.raises(UserError, match="stop it"):
            transfer(settings)
    VoiceStore(open_database(settings, Section.VOICES)).add(ANA, "hers")
    with pytest.raises(UserError, match=r"a state of its own \(in the table captions\)"):
        transfer(settings)
    assert [name for name, found in rows(settings).items() if found] == ["captions"]
