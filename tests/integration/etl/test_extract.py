import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from patience import until

from etl.extract import Progress, extract
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

CONTENT = os.urandom(6 * 1024 * 1024)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = os.urandom(len(CONTENT))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.extract.PAUSES", (0.1, 0.2, 0.3))


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.endswith(".lock")}


def once(done: int, action: Callable[[], object]) -> Callable[[Progress], None]:
    """Do *action* when so many bytes are there."""
    happened: list[object] = []

    def watch(progress: Progress) -> None:
        if progress.done > done and not happened:
            happened.append(action())

    return watch


def test_downloads_over_many_connections_from_mirrors_and_verifies(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT, "mirror.zip": CONTENT}
    seen: list[Progress] = []
    urls = [f"{publisher.url}/corpus.zip", f"{publisher.url}/mirror.zip"]
    path = extract(urls, tmp_path, sha256=SHA256, size=len(CONTENT), on_progress=seen.append)
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
    assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT
    assert extract(["http://127.0.0.1:9/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT
    assert len(publisher.requested) == requests


@pytest.mark.parametrize("asked", [{"sha256": SHA256}, {"size": len(CONTENT)}, {}])
def test_another_file_under_the_name_is_replaced(publisher, tmp_path: Path, asked) -> None:
    (tmp_path / "corpus.zip").write_bytes(b"another")
    publisher.files = {"corpus.zip": CONTENT}
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path, **asked).read_bytes() == CONTENT


@pytest.mark.parametrize("before", [None, b"bad, and of an earlier day"])
def test_a_wrong_digest_leaves_nothing_behind(publisher, tmp_path: Path, before: bytes | None) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    if before is not None:
        (tmp_path / "corpus.zip").write_bytes(before)
    with pytest.raises(UserError, match=r"has not the digest 0{64}.*removed"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256="0" * 64)
    assert names(tmp_path) == set()


def test_a_mirror_with_another_file_is_found_by_the_digest(publish, tmp_path: Path) -> None:
    servers = [publish(files={"corpus.zip": content}, rate=2_000_000) for content in (CONTENT, OTHER)]
    with pytest.raises(UserError, match=r"or one of its 1 mirrors sent has not the digest .* give another mirror"):
        extract([f"{server.url}/corpus.zip" for server in servers], tmp_path, sha256=SHA256)
    assert names(tmp_path) == set()


def test_another_size_is_refused_before_the_file_has_come(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 100_000
    with pytest.raises(UserError, match=rf"has {len(CONTENT)} bytes, not 17 as asked for"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, size=17)
    assert publisher.sent < len(CONTENT) / 2
    assert names(tmp_path) == set()


def test_another_size_is_refused_in_the_end_where_the_server_does_not_tell_it(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.tells_length = {"corpus.zip": CONTENT}, False
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=rf"has {len(CONTENT)} bytes, not 17 as asked for"):
        extract([url], tmp_path, size=17)
    assert names(tmp_path) == set()
    assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT


def test_killed_it_goes_on_at_once_from_where_it_was(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    command = [sys.executable, "-m", "snap2caption", "extract", url, "--out", str(tmp_path), "--sha256", SHA256]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # aria2 notes its progress once a second; killed before, it has nothing to go on from.
    until(lambda: publisher.sent > 2_000_000 and (tmp_path / "corpus.zip.part.aria2").exists())
    (daemon,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "corpus.zip").exists()
    seen: list[Progress] = []
    # The daemon of the killed run may still write: this one waits for it.
    assert extract([url], tmp_path, sha256=SHA256, on_progress=seen.append).read_bytes() == CONTENT
    assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE  # until the system's init has seen it
    # What aria2 has before anything new can have come: at this rate, a second's worth is 6 x 0.4 MB.
    assert next(progress.done for progress in seen if progress.done) > 1_000_000
    assert names(tmp_path) == {"corpus.zip", "corpus.zip.source.json"}


def test_a_daemon_that_is_killed_is_one_sentence_and_the_next_goes_on(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
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


def test_killed_between_the_last_byte_and_the_final_name_nothing_is_fetched_again(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    kill = "import etl.landing, os, signal; etl.landing.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)"
    run = "from pathlib import Path; import etl.extract, sys; etl.extract.extract([sys.argv[1]], Path(sys.argv[2]))"
    process = subprocess.run([sys.executable, "-c", f"{kill}; {run}", url, str(tmp_path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "corpus.zip").exists()
    seen: list[Progress] = []
    assert extract([url], tmp_path, on_progress=seen.append).read_bytes() == CONTENT
    assert next(progress.done for progress in seen if progress.done) == len(CONTENT)
    assert names(tmp_path) == {"corpus.zip", "corpus.zip.source.json"}


def test_a_server_that_is_killed_and_comes_back_is_waited_for(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    seen: list[Progress] = []

    def restart(progress: Progress) -> None:
        seen.append(progress)
        if progress.done > 2_000_000 and publisher.rate:
            publisher.stop()
            publisher.rate = 0
            threading.Timer(0.3, publisher.start).start()

    url = f"{publisher.url}/corpus.zip"
    assert extract([url], tmp_path, sha256=SHA256, on_progress=restart).read_bytes() == CONTENT
    # It never began anew.
    done = [progress.done for progress in seen if progress.done]
    assert done == sorted(done)


def test_a_server_that_stays_away_is_one_sentence_and_the_next_run_goes_on(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=r"can't be reached .*then try again\.$"):
        extract([url], tmp_path, sha256=SHA256, on_progress=once(2_000_000, publisher.stop))
    assert names(tmp_path) == {"corpus.zip.part", "corpus.zip.part.aria2", "corpus.zip.source.json"}
    publisher.rate = 0
    publisher.start()
    seen: list[Progress] = []
    assert extract([url], tmp_path, sha256=SHA256, on_progress=seen.append).read_bytes() == CONTENT
    assert next(progress.done for progress in seen if progress.done) > 1_000_000


def test_of_two_mirrors_one_may_die(publish, tmp_path: Path) -> None:
    first, second = (publish(files={"corpus.zip": CONTENT}, rate=400_000) for _ in range(2))
    urls = [f"{server.url}/corpus.zip" for server in (first, second)]
    assert extract(urls, tmp_path, sha256=SHA256, on_progress=once(2_000_000, first.stop)).read_bytes() == CONTENT


def test_a_mirror_that_lacks_the_file_is_no_hindrance(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    urls = [f"{publisher.url}/away.zip", f"{publisher.url}/corpus.zip"]
    assert extract(urls, tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_server_without_range_requests_will_do(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.ranges = {"corpus.zip": CONTENT}, False
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_what_can_not_be_resumed_is_fetched_from_the_start(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match="can't be reached"):
        extract([url], tmp_path, on_progress=once(2_000_000, publisher.stop))
    publisher.rate, publisher.ranges = 0, False
    publisher.start()
    assert extract([url], tmp_path).read_bytes() == CONTENT


def test_the_part_of_another_source_is_not_gone_on_with(publish, tmp_path: Path) -> None:
    old, new = publish(files={"corpus.zip": CONTENT}, rate=400_000), publish(files={"corpus.zip": OTHER})
    with pytest.raises(UserError, match="can't be reached"):
        extract([f"{old.url}/corpus.zip"], tmp_path, on_progress=once(2_000_000, old.stop))
    assert extract([f"{new.url}/corpus.zip"], tmp_path).read_bytes() == OTHER


@pytest.mark.parametrize("notes", [None, b""])
def test_a_part_without_notes_is_not_trusted(publisher, tmp_path: Path, notes: bytes | None) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    # A file full of holes, as many connections leave it.
    (tmp_path / "corpus.zip.part").write_bytes(bytes(len(CONTENT)))
    if notes is not None:
        (tmp_path / "corpus.zip.part.aria2").write_bytes(notes)
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path).read_bytes() == CONTENT


def test_two_at_once_download_once(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 2_000_000
    url = f"{publisher.url}/corpus.zip"
    command = [sys.executable, "-m", "snap2caption", "extract", url, "--out", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate()[0].strip() for process in both} == {str(tmp_path / "corpus.zip")}
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    assert publisher.sent < 1.5 * len(CONTENT)
