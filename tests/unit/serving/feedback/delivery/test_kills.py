"""SIGKILL at each call of the store in turn: what had been claimed is delivered or erased by the next process."""

import multiprocessing
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
from creators import creator, photo_of
from patience import until

from serving.feedback.schemas import Submission
from serving.feedback.service import FeedbackService
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from snap2caption.store import ObjectStore
from snap2caption.store.file import FileStore

pytestmark = pytest.mark.unit

ANA, BEN = creator("ana"), creator("ben")
SAID = Submission(rating=2, caption="seen")
STEP = 7
"""How many calls later the next process is killed."""


class DyingStore(FileStore):
    """Ends its process at the call of a number, before or after that call."""

    def __init__(self, root: Path, dies_at: int) -> None:
        super().__init__(root)
        self.left = dies_at

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        self.count()
        super().put(key, source, sha256=sha256)
        self.count()

    def delete_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.count()
            super().delete_all([key])
        self.count()


def service_of(settings: ServingSettings, store: ObjectStore) -> FeedbackService:
    return FeedbackService(settings, store, VoiceStore(open_database(settings, Section.VOICES)))


def live(settings: ServingSettings, folder: Path, dies_at: int, stored: int) -> None:
    """Deliver and erase until all is done, or the process is killed."""
    store = DyingStore(folder, dies_at)
    service = service_of(settings, store)
    service.start()
    until(lambda: service.is_erased(ANA) and service.is_erased(BEN) and len(list(store.list("records/"))) == stored)
    os._exit(0)


def die_again_and_again(settings: ServingSettings, folder: Path, stored: int) -> int:
    """Have processes killed at later and later calls, until one gets done; return how many were killed."""
    process, killed = multiprocessing.get_context("fork"), 0
    while True:
        dying = process.Process(target=live, args=(settings, folder, 1 + killed * STEP, stored))
        dying.start()
        dying.join()
        if dying.exitcode == 0:
            return killed
        assert dying.exitcode == -signal.SIGKILL
        killed += 1


def test_killed_at_any_call_it_is_gone_on_with(settings: ServingSettings, store: ObjectStore, tmp_path: Path) -> None:
    service = service_of(settings, store)
    ids = [service.accept(ANA, SAID, photo_of(color), color).id for color in ("red", "green", "blue", "teal")]
    theirs = [service.accept(BEN, SAID, photo_of(color), color).id for color in ("red", "green", "gold")]
    service.close()
    assert die_again_and_again(settings, tmp_path / "store", 7) >= 2
    assert len(list(store.list("photos/"))) == 5
    service = service_of(settings, store)
    service.erase(ANA, ids[0])
    service.erase_all(BEN)
    service.close()
    assert die_again_and_again(settings, tmp_path / "store", 3) >= 2
    left = {info.key.rpartition("/")[2] for info in store.list("records/")}
    assert left == {f"{identifier}.json" for identifier in ids[1:]}
    assert {info.key.rpartition("/")[2] for info in store.list("erased/")} == {
        f"{one}.json" for one in [ids[0], *theirs]
    }
    # The photo that both had sent is still there for the one who kept theirs.
    assert len(list(store.list("photos/"))) == 3
    assert len(list(store.list("uses/"))) == len(list(store.list("creators/"))) == 3
