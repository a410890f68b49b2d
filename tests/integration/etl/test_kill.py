import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo.corpus.archive import write_corpus

pytestmark = pytest.mark.integration


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 400, 1)
    command = [sys.executable, "-m", "snap2caption", "transform", str(corpus), "--out", str(tmp_path), "--workers", "2"]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    # Two workers, and what multiprocessing keeps track of them with.
    while len(children := process.children(recursive=True)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
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
