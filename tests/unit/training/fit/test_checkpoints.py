"""Checkpoints in a folder, and their copies in a store.

Real ones, killed: test_finetune.py and tests/integration/training/test_pipeline.py.
"""

import json
from pathlib import Path

import pytest

from snap2caption.errors import UserError
from snap2caption.store import open_store
from training.distributed import SINGLE_PROCESS, Ranks
from training.fit.checkpoints import COMPLETE, STATE, Checkpoints

pytestmark = pytest.mark.unit


def write(checkpoints: Checkpoints, step: int) -> None:
    folder = checkpoints.path(step)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STATE).write_text(json.dumps({"global_step": step}))
    (folder / "weights").write_bytes(bytes([step]) * 1000)


@pytest.fixture
def machine(tmp_path: Path):
    """Make the checkpoints of a machine of that name; all copy to the same store."""

    def make(name: str) -> Checkpoints:
        return Checkpoints(tmp_path / name, open_store((tmp_path / "store").as_uri()))

    return make


def test_a_half_written_one_is_passed_over(tmp_path):
    checkpoints = Checkpoints(tmp_path / "work")
    assert checkpoints.fetch(SINGLE_PROCESS) is None
    write(checkpoints, 6)
    checkpoints.complete(6, keep=())
    write(checkpoints, 12)
    assert checkpoints.fetch(SINGLE_PROCESS) == 6
    assert checkpoints.state(6) == {"global_step": 6}


def test_the_last_two_and_the_best_stay(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (6, 12, 18, 24):
        write(checkpoints, step)
        checkpoints.complete(step, keep=(6,))
    assert checkpoints.steps() == [6, 18, 24]
    # One that was never completed goes as well.
    write(checkpoints, 25)
    write(checkpoints, 30)
    checkpoints.complete(30, keep=())
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-24", "checkpoint-30"}


def test_another_machine_goes_on_from_the_store(machine):
    one, other = machine("one"), machine("other")
    for step in (6, 12, 18):
        write(one, step)
        one.complete(step, keep=(6,))
    assert other.fetch(SINGLE_PROCESS) == 18
    assert other.steps() == [6, 12, 18]
    for step in other.steps():
        assert {path.name: path.read_bytes() for path in other.path(step).iterdir()} == {
            path.name: path.read_bytes() for path in one.path(step).iterdir()
        }
    assert {path.name for path in other.folder.iterdir()} == {"checkpoint-6", "checkpoint-12", "checkpoint-18"}
    write(other, 24)
    other.complete(24, keep=(6,))
    assert [found.key for found in other.store.list()] == [f"checkpoint-{step}.tar" for step in (18, 24, 6)]
    # The machine that was away has what is old, and gets what is new.
    assert one.fetch(SINGLE_PROCESS) == 24
    one.discard()
    assert list(one.store.list()) == []


def test_what_was_saved_but_not_copied_is_copied_first(machine):
    one, other = machine("one"), machine("other")
    write(one, 6)
    # Killed right after the mark.
    (one.path(6) / COMPLETE).touch()
    assert one.fetch(SINGLE_PROCESS) == 6
    assert other.fetch(SINGLE_PROCESS) == 6


def test_what_a_killed_download_left_is_replaced(machine):
    one, other = machine("one"), machine("other")
    write(one, 6)
    one.complete(6, keep=())
    for name in ("scratch", "checkpoint-6"):
        (other.folder / name).mkdir(parents=True)
        (other.folder / name / "weights").write_bytes(b"half")
    assert other.fetch(SINGLE_PROCESS) == 6
    assert (other.path(6) / "weights").read_bytes() == b"\6" * 1000


def test_several_machines_want_a_store(tmp_path):
    with pytest.raises(UserError, match=r"set launcher\.checkpoints to the URI of a store"):
        Checkpoints(tmp_path).fetch(Ranks(0, 4, 0, 2))
