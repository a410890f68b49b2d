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
