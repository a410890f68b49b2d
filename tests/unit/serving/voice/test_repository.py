import multiprocessing
from pathlib import Path

import pytest
from patience import LONGEST

from serving.voice.repository import MAX_CAPTIONS, VoiceStore
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


def test_a_creator_has_their_own_captions_the_newest_first(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voice.sqlite")
    for caption in ("one", "two", "three"):
        store.add("aisha", caption)
    store.add("other", "hers")
    assert store.captions("aisha", 2) == ["three", "two"]
    assert VoiceStore(tmp_path / "voice.sqlite").captions("aisha") == ["three", "two", "one"]


def test_replacing_keeps_the_order(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voice.sqlite")
    store.add("aisha", "old")
    store.replace("aisha", ["first", "second"])
    assert store.captions("aisha") == ["first", "second"]


def test_the_oldest_go(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voice.sqlite")
    for number in range(MAX_CAPTIONS + 5):
        store.add("aisha", str(number))
    assert store.captions("aisha") == [str(number) for number in reversed(range(5, MAX_CAPTIONS + 5))]


def test_what_came_with_a_feedback_comes_once_and_goes_with_it(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voice.sqlite")
    store.add("aisha", "first thought", "f1")
    store.add("aisha", "second thought", "f1")
    assert store.captions("aisha") == ["second thought"]
    store.remove("other", "f1")
    assert store.captions("aisha") == ["second thought"]
    store.remove("aisha", "f1")
    assert store.captions("aisha") == []


def test_nothing_of_what_was_erased_stays_on_the_disk(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path / "voice.sqlite")
    store.add("aisha", "a secret thought")
    store.add("other", "stays")
    store.forget("aisha")
    assert store.captions("aisha") == []
    assert store.captions("other") == ["stays"]
    assert not any(b"a secret thought" in file.read_bytes() for file in tmp_path.iterdir())


def _add(path: Path, name: str) -> None:
    store = VoiceStore(path)
    for number in range(10):
        store.add("aisha", f"{name}{number}")


def test_processes_share_it(tmp_path: Path) -> None:
    path = tmp_path / "voice.sqlite"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add, args=(path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(LONGEST)
    assert len(set(VoiceStore(path).captions("aisha"))) == 20


def test_a_file_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "voice.sqlite"
    path.write_bytes(b"something else" * 100)
    with pytest.raises(UserError, match="can't be used"):
        VoiceStore(path)
