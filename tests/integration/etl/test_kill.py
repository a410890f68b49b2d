import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.corpus.archive import write_corpus
from etl.load import load
from etl.transform import transform
from snap2caption.manifest import NAME, Manifest

pytestmark = pytest.mark.integration

KILLS = 5


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_killed_transform_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 200, 1, traps=True)
    began = time.monotonic()
    whole = transform(corpus, tmp_path / "whole")
    took = time.monotonic() - began
    rng = random.Random(0)
    for kill in range(KILLS):
        out = tmp_path / f"out-{kill}"
        command = [sys.executable, "-m", "snap2caption", "transform", str(corpus), "--out", str(out)]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(rng.uniform(0.2, 1.0) * took)  # the moment of the kill, not a wait
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        published = [folder for folder in out.glob("[!.]*") if folder.is_dir()] if out.exists() else []
        assert all((folder / NAME).exists() for folder in published)
        again = transform(corpus, out)
        assert again.name == whole.name
        assert content(again) == content(whole)
        assert [folder.name for folder in out.iterdir() if folder.is_dir() and folder.name != ".inputs"] == [whole.name]


def test_a_load_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.zip", 60, 1)
    dataset = transform(corpus, tmp_path / "out")
    store = tmp_path / "store"
    version = store / dataset.name
    version.mkdir(parents=True)
    shard = Manifest.read(dataset).splits["train"].shards[0].name
    (version / shard).write_bytes(b"half of it")
    uri = load(dataset, store.as_uri())
    assert content(version) == content(dataset)
    before = {file.name: file.stat().st_mtime_ns for file in version.iterdir()}
    assert load(dataset, store.as_uri()) == uri
    assert {file.name: file.stat().st_mtime_ns for file in version.iterdir()} == before
