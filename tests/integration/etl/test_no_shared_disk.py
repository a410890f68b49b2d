"""Machines that share a store and no disk make the version that one machine makes on its disk."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from contents import files_in, read
from patience import until

from demo.corpus.archive import write_corpus
from etl.scratch import scratch_folder
from etl.transform import check_slice, merge, plan
from etl.transform.archive import local_copy
from etl.transform.archive.corpus import digest_of_corpus
from snap2caption.errors import UserError
from snap2caption.store import open_store

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.zip", 90, 1, traps=True)


@pytest.fixture(scope="module")
def expected(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The version that one machine makes on its disk."""
    planned = plan(corpus, tmp_path_factory.mktemp("out"))
    check_slice(planned.work, 0, workers=1)
    return files_in(merge(planned.work, workers=1))


@pytest.fixture(params=["file", "s3", "swift"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix that is new to each test. A folder is used through the interface of stores, too."""
    if request.param == "file":
        return (tmp_path / "store").as_uri()
    for name, value in request.getfixturevalue(f"{request.param}_environment").items():
        monkeypatch.setenv(name, value)
    return f"{request.param}://bucket-{abs(hash(tmp_path)) % 10**8}/etl"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this process, which is one of the machines."""
    monkeypatch.setenv("SNAP2CAPTION_STATE_DIR", str(tmp_path / "machine"))
    return tmp_path / "machine"


def put(place: str, file: Path) -> str:
    data = file.read_bytes()
    open_store(place).put(file.name, data, sha256=hashlib.sha256(data).hexdigest())
    return f"{place}/{file.name}"


def objects_in(place: str) -> dict[str, bytes]:
    store = open_store(place)
    return {found.key: read(store, found.key) for found in store.list()}


def kill_in_the_middle(work: str, number: int, machine: Path) -> None:
    """Check a slice on a machine, which is a state folder, and kill it once it has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snap2caption", "transform-slice", work, str(number), "--workers=1"],
        env={**os.environ, "SNAP2CAPTION_STATE_DIR": str(machine)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    until(lambda: list(machine.glob("scratch/*/slices/*.lock")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_machines_without_a_shared_disk_make_the_same_version(
    corpus: Path, expected: dict[str, bytes], place: str, machine: Path, tmp_path: Path
) -> None:
    stored = put(place, corpus)
    planned = plan(stored, place, slice_pairs=60)
    assert (planned.slices, planned.work.startswith(f"{place}/.work-")) == (2, True)
    if not place.startswith("file:"):  # of which the command sees the folder
        kill_in_the_middle(planned.work, 0, tmp_path / "lost machine")
    check_slice(planned.work, 1, workers=1)
    with pytest.raises(UserError, match=f"1 of 2 slices .* transform-slice {planned.work} 0"):
        merge(planned.work, workers=1)
    check_slice(planned.work, 0, workers=1)
    version = merge(planned.work, workers=1)
    assert objects_in(version) == expected
    # What is left is the corpus, the version, and the records of what the input made.
    assert {key.partition("/")[0] for key in objects_in(place)} == {corpus.name, ".inputs", version.rpartition("/")[2]}
    assert not list((machine / "scratch").iterdir())
    assert plan(stored, place).version == version
    open_store(version).delete("train-000000.tar")
    assert plan(stored, place).version is None


def test_without_room_for_the_corpus_the_version_is_the_same(
    corpus: Path, expected: dict[str, bytes], place: str, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(put(place, corpus), place)
    check_slice(planned.work, 0, workers=1)
    monkeypatch.setattr(local_copy, "_SPARE", 1 << 60)
    assert objects_in(merge(planned.work, workers=1)) == expected


def test_a_corpus_is_gone_or_another(corpus: Path, place: str, machine: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"There is no corpus at {place}/corpus.zip; fetch it"):
        plan(f"{place}/corpus.zip", place)
    stored = put(place, corpus)
    assert digest_of_corpus(stored) == hashlib.sha256(corpus.read_bytes()).hexdigest()
    planned = plan(stored, place)
    other = tmp_path / "corpus.zip"
    other.write_bytes(corpus.read_bytes() + b"\0")
    put(place, other)
    with pytest.raises(UserError, match=r"The corpus of this plan is not at .*corpus.zip"):
        check_slice(planned.work, 0)


def test_what_a_killed_machine_left_on_its_disk_is_removed(machine: Path) -> None:
    program = (
        "from etl.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    (folder / 'table').touch()\n"
        "    print(folder, flush=True)\n"
        "    input()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with scratch_folder():
            assert (left / "table").exists()  # it is in use
        process.kill()
    with scratch_folder() as folder:
        assert sorted(machine.glob("scratch/*")) == [folder, folder.with_suffix(".lock")]
    assert not list(machine.glob("scratch/*"))
