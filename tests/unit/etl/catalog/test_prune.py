"""Which versions go and which stay, and a removal that is killed."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tiny import write_dataset

from etl.catalog.listing import list_versions
from etl.catalog.prune import judge, prune
from etl.load import load
from snap2caption.datasets.manifest import NAME, PRUNING, FeedbackOrigin, Manifest
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

NAMES = [f"d0000000000{number}" for number in range(4)]

KILLED = """
import os, pathlib, signal, sys
from etl.catalog.prune import prune

left = [int(sys.argv[2])]
unlink = pathlib.Path.unlink

def dying(path, **options):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    unlink(path, **options)

pathlib.Path.unlink = dying
prune(sys.argv[1], 1, dict, {sys.argv[3]})
"""
"""Prunes, and dies before a deletion of a file."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Four versions, the last of them the newest."""
    for number, name in enumerate(NAMES):
        write_dataset(tmp_path / "store" / name, {"train": 2, "validation": 1, "test": 1}, seed=number)
        age(tmp_path / "store" / name, days=10 - number)
    return tmp_path / "store"


def age(folder: Path, days: float) -> None:
    then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
    for file in folder.iterdir():
        os.utime(file, (then, then))


def going(store: Path, keep: int = 1, **users: list[str]) -> list[str]:
    return [one.version.version for one in judge(list_versions(store.as_uri()), keep, users) if one.removed]


def test_the_newest_and_what_models_learned_from_stay(store: Path) -> None:
    assert going(store) == ["d00000000002", "d00000000001", "d00000000000"]
    assert going(store, keep=3) == ["d00000000000"]
    assert going(store, d00000000001=["snap2caption version 7"]) == ["d00000000002", "d00000000000"]


def test_the_corpus_of_feedback_that_stays_stays(store: Path) -> None:
    folder = store / "feedback" / "fd0000000000"
    manifest = write_dataset(folder, {"train": 2, "validation": 0, "test": 0})
    origin = FeedbackOrigin(corpus="d00000000001", samples={})
    (folder / NAME).write_bytes(manifest.model_copy(update={"version": "fd0000000000", "feedback": origin}).dump())
    assert going(store) == ["d00000000002", "d00000000000"]


def test_what_cannot_be_read_stays_and_is_told(store: Path) -> None:
    (store / NAMES[0] / NAME).write_text("{")
    verdicts = {one.version.version: one for one in judge(list_versions(store.as_uri()), 1, {})}
    assert not verdicts[NAMES[0]].removed
    assert "can't be read" in verdicts[NAMES[0]].reason


def test_remains_of_an_upload_go_after_a_day(store: Path) -> None:
    (store / NAMES[0] / NAME).unlink()
    (store / NAMES[1] / NAME).unlink()
    age(store / NAMES[1], days=0.5)
    verdicts = {one.version.version: one for one in judge(list_versions(store.as_uri()), 5, {})}
    assert verdicts[NAMES[0]].removed
    assert not verdicts[NAMES[1]].removed


def test_a_model_that_learned_meanwhile_saves_its_version(store: Path) -> None:
    wanted = {one.version.uri for one in judge(list_versions(store.as_uri()), 1, {}) if one.removed}
    removed = prune(store.as_uri(), 1, lambda: {NAMES[1]: ["run 1"]}, wanted)
    assert [one.version for one in removed] == [NAMES[2], NAMES[0]]
    assert sorted(path.name for path in store.iterdir()) == [NAMES[1], NAMES[3]]
    # And nothing that nobody agreed to goes.
    assert prune(store.as_uri(), 1, dict, set()) == []


@pytest.mark.parametrize("deletions", [0, 1, 3])
def test_killed_and_run_again_it_removes_the_same(store: Path, deletions: int) -> None:
    uri = f"{store.as_uri()}/{NAMES[0]}"
    died = subprocess.run([sys.executable, "-c", KILLED, store.as_uri(), str(deletions), uri], check=False)
    assert died.returncode == -signal.SIGKILL
    assert (store / NAMES[0] / PRUNING).exists()
    # Whoever loads it meanwhile is told.
    again = store.parent / "again" / NAMES[0]
    write_dataset(again, {"train": 2, "validation": 1, "test": 1}, seed=0)
    with pytest.raises(UserError, match="is being removed"):
        load(again, store.as_uri())
    assert NAMES[0] in going(store, keep=9)
    assert [one.version for one in prune(store.as_uri(), 9, dict, {uri})] == [NAMES[0]]
    assert sorted(path.name for path in store.iterdir()) == NAMES[1:]
    assert Manifest.read(store / NAMES[1]).version == NAMES[1]
    load(again, store.as_uri())
