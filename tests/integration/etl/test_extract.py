import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from etl.aria2 import Daemon
from etl.extract import Progress, extract
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

CONTENT = os.urandom(6 * 1024 * 1024)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_downloads_over_many_connections_from_mirrors_and_verifies(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT, "mirror.zip": CONTENT}
    seen: list[Progress] = []
    urls = [f"{publisher.url}/corpus.zip", f"{publisher.url}/mirror.zip"]
    path = extract(urls, tmp_path, sha256=SHA256, on_progress=seen.append)
    assert path == tmp_path / "corpus.zip"
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == {"corpus.zip", "corpus.zip.source.json"}
    assert seen[-1].done == seen[-1].total == len(CONTENT)
    assert "%" in str(seen[-1])
    assert len(publisher.requested) >= 4


def test_what_is_there_is_not_fetched_again(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    extract([url], tmp_path)
    requests = len(publisher.requested)
    assert extract([url], tmp_path).read_bytes() == CONTENT
    assert extract([url], tmp_path, sha256=SHA256).read_bytes() == CONTENT
    assert len(publisher.requested) == requests


def test_a_wrong_digest_leaves_nothing_behind(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    with pytest.raises(UserError, match=r"has not the digest 0{64}"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256="0" * 64)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("{server}/nothing.zip", "404"),
        ("http://127.0.0.1:9/corpus.zip", "can't be reached"),
        ("file:///etc/passwd", "not an address"),
        ("nonsense", "not an address"),
    ],
)
def test_one_sentence_for_each_cause(publisher, tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        extract([url.format(server=publisher.url)], tmp_path)
    assert not {name for name in names(tmp_path) if not name.endswith((".part", ".aria2"))}


def test_a_malformed_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a SHA-256"):
        extract(["http://127.0.0.1/corpus.zip"], tmp_path, sha256="abc")


def test_without_aria2c_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install aria2"), Daemon(tmp_path):
        pass


def test_killed_it_goes_on_from_where_it_was_and_leaves_no_daemon(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    publisher.rate = 400_000
    url = f"{publisher.url}/corpus.zip"
    command = [sys.executable, "-m", "snap2caption", "extract", url, "--out", str(tmp_path), "--sha256", SHA256]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    # aria2 notes its progress once a second; killed before, it has nothing to go on from.
    while not (publisher.sent > 2_000_000 and (tmp_path / "corpus.zip.part.aria2").exists()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    daemons = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(daemons, timeout=20)
    assert not any(daemon.is_running() for daemon in daemons)
    assert not (tmp_path / "corpus.zip").exists()
    seen: list[Progress] = []
    assert extract([url], tmp_path, sha256=SHA256, on_progress=seen.append).read_bytes() == CONTENT
    # What aria2 has before anything new can have come: at this rate, a second's worth is 6 x 0.4 MB.
    assert next(progress.done for progress in seen if progress.total) > 1_000_000


def test_a_daemon_that_is_killed_is_one_sentence_and_the_next_goes_on(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    publisher.rate = 400_000
    url = f"{publisher.url}/corpus.zip"
    killed: list[psutil.Process] = []

    def kill(progress: Progress) -> None:
        if not killed and progress.done > 2_000_000 and (tmp_path / "corpus.zip.part.aria2").exists():
            killed.extend(child for child in psutil.Process().children() if child.name() == "aria2c")
            for daemon in killed:
                daemon.kill()

    with pytest.raises(UserError, match="goes on from where it was"):
        extract([url], tmp_path, sha256=SHA256, on_progress=kill)
    assert [daemon.is_running() for daemon in killed] == [False]
    assert not (tmp_path / "corpus.zip").exists()
    publisher.rate = 0
    assert extract([url], tmp_path, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("notes", [None, b""])
def test_a_part_without_notes_is_not_trusted(publisher, tmp_path: Path, notes: bytes | None) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    (tmp_path / "corpus.zip.part").write_bytes(
        bytes(len(CONTENT))
    )  # a file full of holes, as many connections leave it
    if notes is not None:
        (tmp_path / "corpus.zip.part.aria2").write_bytes(notes)
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path).read_bytes() == CONTENT


def test_a_mirror_that_lacks_the_file_is_no_hindrance(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    urls = [f"{publisher.url}/away.zip", f"{publisher.url}/corpus.zip"]
    assert extract(urls, tmp_path, sha256=SHA256).read_bytes() == CONTENT
