"""A transform and its workers, killed; two at once. Kills at random moments are in test_chaos.py."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from contents import files_in
from patience import LONGEST, until

from demo.corpus.archive import write_corpus
from etl.import_corpus import import_corpus
from etl.transform import merge, plan, transform

pytestmark = pytest.mark.integration


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 400, 1)
    command = [sys.executable, "-m", "snap2caption", "transform", str(corpus), "--out", str(tmp_path), "--workers", "2"]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Two workers, and what multiprocessing keeps track of them with.
    until(lambda: len(process.children(recursive=True)) >= 3)
    children = process.children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=LONGEST)
    assert not alive


def test_a_killed_import_gives_the_same_corpus_when_run_again(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number in range(300):
        (tmp_path / "mine" / f"{number}.jpg").write_bytes(b"\xff\xd8\xff" + bytes(20_000))
        (tmp_path / "mine" / f"{number}.txt").write_text(f"Day {number}.")
    expected = import_corpus(tmp_path / "mine", tmp_path / "whole.zip").path.read_bytes()
    out, draft = tmp_path / "out" / "corpus.zip", tmp_path / "out" / ".corpus.zip.draft"
    command = [sys.executable, "-m", "snap2caption", "import-corpus", str(tmp_path / "mine"), f"--out={out}"]

    def kill_in_the_middle() -> bool:
        out.unlink(missing_ok=True)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: draft.exists() or process.poll() is not None)
        process.kill()
        process.wait()
        return draft.exists()

    until(kill_in_the_middle)
    assert [path.name for path in out.parent.iterdir()] == [draft.name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.read_bytes() == expected


def test_two_at_once_make_one_version(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 60, 1)
    command = [sys.executable, "-m", "snap2caption", "transform", str(corpus), "--out", str(tmp_path / "out")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in both)
    assert first == second
    assert [process.returncode for process in both] == [0, 0]
    assert [folder.name for folder in (tmp_path / "out").glob("[!.]*")] == [Path(first.strip()).name]
    assert not list((tmp_path / "out").glob(".work-*"))


def test_slices_of_a_killed_process_give_the_same_version(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 120, 1, traps=True)
    whole = transform(corpus, tmp_path / "whole")
    planned = plan(corpus, tmp_path / "out", slice_pairs=40)
    assert planned.slices >= 3

    def start(number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "snap2caption", "transform-slice", str(planned.work), str(number)]
        return subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL, start_new_session=True)

    # The last slice twice at once, one of the two killed as soon as it holds the lock.
    last = planned.slices - 1
    killed, other = start(last), start(last)
    lock = planned.work / "slices" / f"{last:04d}.lock"
    until(lock.exists)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    for number in range(last):
        assert start(number).wait() == 0
    assert other.wait() == 0
    assert files_in(merge(planned.work)) == files_in(whole)
    assert not planned.work.exists()
