import multiprocessing
from pathlib import Path

import pytest
from databases import BOTH
from patience import LONGEST
from pydantic import SecretStr

from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.sqlite import SQLiteDatabase
from serving.state.tables import Section
from serving.voice.repository import MAX_CAPTIONS, VoiceStore
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)


@pytest.fixture
def settings(tmp_path: Path, database_url: SecretStr | None) -> ServingSettings:
    return ServingSettings(voice_file=tmp_path / "voice.sqlite", database_url=database_url)


@pytest.fixture
def store(settings: ServingSettings) -> VoiceStore:
    return VoiceStore(open_database(settings, Section.VOICES))


@on_both
def test_a_creator_has_their_own_captions_the_newest_first(store: VoiceStore, settings: ServingSettings) -> None:
    for caption in ("one", "two", "three"):
        store.add("aisha", caption)
    store.add("other", "hers")
    assert store.captions("aisha", 2) == ["three", "two"]
    assert VoiceStore(open_database(settings, Section.VOICES)).captions("aisha") == ["three", "two", "one"]


@on_both
def test_replacing_keeps_the_order(store: VoiceStore) -> None:
    store.add("aisha", "old")
    store.replace("aisha", ["first", "second"])
    assert store.captions("aisha") == ["first", "second"]


@on_both
def test_the_oldest_go(store: VoiceStore) -> None:
    for number in range(MAX_CAPTIONS + 5):
        store.add("aisha", str(number))
    assert store.captions("aisha") == [str(number) for number in reversed(range(5, MAX_CAPTIONS + 5))]


@on_both
def test_what_came_with_a_feedback_comes_once_and_goes_with_it(store: VoiceStore) -> None:
    store.add("aisha", "first thought", "f1")
    store.add("aisha", "second thought", "f1")
    assert store.captions("aisha") == ["second thought"]
    store.remove("other", "f1")
    assert store.captions("aisha") == ["second thought"]
    store.remove("aisha", "f1")
    assert store.captions("aisha") == []


def test_nothing_of_what_was_erased_stays_on_the_disk(tmp_path: Path) -> None:
    store = VoiceStore(SQLiteDatabase(tmp_path / "voice.sqlite", Section.VOICES))
    store.add("aisha", "a secret thought")
    store.add("other", "stays")
    store.forget("aisha")
    assert store.captions("aisha") == []
    assert store.captions("other") == ["stays"]
    assert not any(b"a secret thought" in file.read_bytes() for file in tmp_path.iterdir())


def _add(settings: ServingSettings, name: str) -> None:
    store = VoiceStore(open_database(settings, Section.VOICES))
    for number in range(10):
        store.add("aisha", f"{name}{number}")


@on_both
def test_processes_share_it(settings: ServingSettings, store: VoiceStore) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(settings, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(LONGEST)
    assert len(set(store.captions("aisha"))) == 20


def test_a_file_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "voice.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(UserError, match="can't be used"):
        SQLiteDatabase(path, Section.VOICES)
