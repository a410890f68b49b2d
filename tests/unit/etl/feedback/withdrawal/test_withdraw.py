import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from feedbacks import Box, identifier

from etl.feedback.build import BuiltVersion
from etl.feedback.retraining import erased_since, note_retraining
from etl.feedback.withdrawal.searched_versions import SEARCHED
from etl.feedback.withdrawal.withdraw import withdraw
from snap2caption.datasets.manifest import Shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.store import StoreError
from snap2caption.store.file import FileStore

pytestmark = pytest.mark.unit

Withdraw = Callable[[], list[str]]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return tmp_path / "shards"


@pytest.fixture
def call(box: Box, datasets_uri: str, state: Path, shards: Path) -> Withdraw:
    return lambda: withdraw(box.uri, datasets_uri, state, shards)


def first_shard(dataset: DatasetVersion) -> Shard:
    return next(shard for split in dataset.manifest.splits.values() for shard in split.shards)


def test_only_what_holds_erased_feedback_is_emptied(
    box: Box, make: Callable[..., BuiltVersion], call: Withdraw, shards: Path, tmp_path: Path
) -> None:
    feedback = [box.send(number) for number in range(8)]
    for number in range(4):
        box.annotate(number)
    before = DatasetVersion.open(make().uri)
    note_retraining(box.store, before.uri)
    for number in range(4, 8):
        box.annotate(number)
    both = DatasetVersion.open(make().uri)
    for dataset in (before, both):
        dataset.fetch(first_shard(dataset), shards)
    assert call() == []
    box.erase(feedback[5])
    assert call() == [both.manifest.version]
    assert call() == []
    folder = tmp_path / "datasets" / "feedback" / both.manifest.version
    assert sorted(file.name for file in folder.iterdir()) == ["assignments.parquet", "manifest.json"]
    emptied = DatasetVersion.open(both.uri)
    assert emptied.manifest.withdrawn is not None
    assert emptied.manifest.feedback == both.manifest.feedback
    assert [path.stem for path in shards.iterdir()] == [first_shard(before).sha256]
    with pytest.raises(StoreError, match=r"was withdrawn, as feedback in it was erased; use a newer one"):
        emptied.fetch(first_shard(emptied), shards)
    # The earlier one is whole, what is new is known, and the next version draws the same splits without what was
    # erased.
    before.fetch(first_shard(before), tmp_path / "elsewhere")
    built = make()
    assert built.new == 3
    # The last training was started with the earlier one.
    assert erased_since(box.store) == 0
    note_retraining(box.store, both.uri)
    assert erased_since(box.store) == 1
    note_retraining(box.store, built.uri)
    assert erased_since(box.store) == 0
    assert identifier(5) not in DatasetVersion.open(built.uri).manifest.feedback.samples
    assert call() == []


def make_of_four(box: Box, make: Callable[..., BuiltVersion]) -> DatasetVersion:
    for number in range(4):
        box.send(number)
        box.annotate(number)
    return DatasetVersion.open(make().uri)


def test_one_that_was_killed_half_way_is_completed(
    box: Box, make: Callable[..., BuiltVersion], call: Withdraw, tmp_path: Path
) -> None:
    dataset = make_of_four(box, make)
    folder = tmp_path / "datasets" / "feedback" / dataset.manifest.version
    whole = {file.name: file.read_bytes() for file in folder.iterdir()}
    box.erase(box.send(0))
    call()
    left = {file.name: file.read_bytes() for file in folder.iterdir()}
    # It had said that it withdraws, and not deleted anything.
    for name in whole.keys() - left.keys():
        (folder / name).write_bytes(whole[name])
    call()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == left


def test_known_manifests_are_read_only_if_one_lost_feedback(
    box: Box, make: Callable[..., BuiltVersion], call: Withdraw, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_version = DatasetVersion.open

    def note(where: str) -> DatasetVersion:
        opened.append(where.rpartition("/")[2])
        return open_version(where)

    def opened_by_a_run() -> list[str]:
        opened.clear()
        with monkeypatch.context() as patch:
            patch.setattr(DatasetVersion, "open", note)
            call()
        return sorted(opened)

    first = make_of_four(box, make).manifest.version
    assert opened_by_a_run() == [first]
    assert opened_by_a_run() == []
    box.erase(box.send(7))
    assert opened_by_a_run() == []
    box.send(4)
    box.annotate(4)
    second = make().version
    assert opened_by_a_run() == [second]
    box.erase(box.send(4))
    # One of them holds it, and is read again once its files are gone.
    assert opened_by_a_run() == sorted([first, second])
    assert opened_by_a_run() == [second]
    assert opened_by_a_run() == []
    # Without the record, everything is searched.
    (state / "feedback" / SEARCHED).write_text("{}")
    assert opened_by_a_run() == sorted([first, second])
    assert opened_by_a_run() == []


def test_another_machine_drops_its_own_copies(
    box: Box, make: Callable[..., BuiltVersion], call: Withdraw, datasets_uri: str, tmp_path: Path
) -> None:
    dataset = make_of_four(box, make)
    theirs = tmp_path / "their shards"
    dataset.fetch(first_shard(dataset), theirs)

    def call_there() -> list[str]:
        return withdraw(box.uri, datasets_uri, tmp_path / "their state", theirs)

    assert call_there() == []
    box.erase(box.send(0))
    assert call() == [dataset.manifest.version]
    assert call() == []
    assert call_there() == []
    assert not any(theirs.glob("*.tar"))


def test_killed_at_any_write_it_is_gone_on_with(
    box: Box, make: Callable[..., BuiltVersion], datasets_uri: str, state: Path, shards: Path, tmp_path: Path
) -> None:
    dataset = make_of_four(box, make)
    dataset.fetch(first_shard(dataset), shards)
    box.erase(box.send(0))
    killed = 0
    while (dying := fork(withdraw_and_die, box.uri, datasets_uri, state, shards, 1 + killed)) != 0:
        assert dying == -signal.SIGKILL
        killed += 1
    assert killed >= 4
    folder = tmp_path / "datasets" / "feedback" / dataset.manifest.version
    assert sorted(file.name for file in folder.iterdir()) == ["assignments.parquet", "manifest.json"]
    assert not any(shards.glob("*.tar"))


def fork(work: Callable[..., object], *arguments: object) -> int | None:
    """Do *work* in a process of its own, and return its exit status."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def withdraw_and_die(uri: str, datasets_uri: str, state: Path, shards: Path, dies_at: int) -> None:
    """Withdraw, and be killed before the change of a number, if there is one: a put, a deletion or a rename."""
    left = iter(range(dies_at - 1, -1, -1))

    def dying(owner: type, name: str) -> None:
        call = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            if next(left, None) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        setattr(owner, name, counted)

    for owner, name in ((FileStore, "put"), (Path, "unlink"), (Path, "replace")):
        dying(owner, name)
    withdraw(uri, datasets_uri, state, shards)


def test_an_unreadable_version_keeps_no_other_from_withdrawal(
    box: Box, make: Callable[..., BuiltVersion], call: Withdraw, tmp_path: Path
) -> None:
    dataset = make_of_four(box, make)
    Box(tmp_path / "datasets" / "feedback").put("000/manifest.json", b"{}")
    box.erase(box.send(0))
    with pytest.raises(UserError, match=r"000/manifest.json is not a dataset manifest"):
        call()
    assert DatasetVersion.open(dataset.uri).manifest.withdrawn is not None


def test_what_killed_runs_left_goes_too(box: Box, call: Withdraw, state: Path, tmp_path: Path) -> None:
    (state / "feedback" / "work" / "made").mkdir(parents=True)
    (state / "feedback" / "work" / "made" / "train-000000.tar").write_bytes(b"a photo")
    versions = Box(tmp_path / "datasets" / "feedback")
    for version in ("old", "new"):
        versions.put(f"{version}/train-000000.tar", b"a photo")
    os.utime(tmp_path / "datasets" / "feedback" / "old" / "train-000000.tar", (0, 0))
    call()
    assert not (state / "feedback" / "work").exists()
    # What is young may be an upload under way.
    assert [found.key for found in versions.store.list()] == ["new/train-000000.tar"]
