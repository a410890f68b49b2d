"""Extract: retries, and downloads that are resumed after an interruption."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from downloads import CONTENT, OTHER, SHA256, names
from patience import until

from etl.extract import Progress, extract
from snap2caption.errors import UserError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_retries")]


def once(done: int, action: Callable[[], object]) -> Callable[[Progress], None]:
    """Do *action* when so many bytes are there."""
    happened: list[object] = []

    def watch(progress: Progress) -> None:
        if progress.done > done and not happened:
            happened.append(action())

    return watch


def test_a_mistyped_size_costs_no_part(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match="can't be reached"):
        extract([url], tmp_path, on_progress=once(2_000_000, publisher.stop))
    publisher.start()
    with pytest.raises(UserError, match=r"not the requested 17; check the size"):
        extract([url], tmp_path, size=17)
    publisher.rate = 0
    seen: list[Progress] = []
    assert extract([url], tmp_path, on_progress=seen.append).read_bytes() == CONTENT
    assert next(progress.done for progress in seen if progress.done) > 1_000_000


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("in_words", [False, True])
def test_a_server_that_asks_for_patience_is_given_it(publisher, tmp_path: Path, status: int, in_words: bool) -> None:
    publisher.files, publisher.retry_after, publisher.in_words = {"corpus.zip": CONTENT}, 2, in_words
    publisher.throttle(status)
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT
    assert publisher.too_early <= 2  # the request that was refused, and the one that asked for how long


def test_a_server_that_asks_for_too_much_patience_is_told(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.retry_after = {"corpus.zip": CONTENT}, 7200
    publisher.throttle(429)
    with pytest.raises(UserError, match=r"The server at .*corpus\.zip asks clients to wait 7200 s; try again after"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path)


def test_a_server_that_throttles_is_asked_for_less(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000

    def throttle() -> None:
        publisher.stop()
        publisher.rate, publisher.retry_after = 0, 1
        publisher.throttle(429)
        publisher.start()

    url = f"{publisher.url}/corpus.zip"
    assert extract([url], tmp_path, sha256=SHA256, on_progress=once(2_000_000, throttle)).read_bytes() == CONTENT


def test_no_credential_is_kept_beside_a_download(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    server = publisher.url.replace("http://", "http://anna:topsecret@")
    url = f"{server}/corpus.zip?part=1&X-Amz-Signature=topsecret"
    with pytest.raises(UserError, match="can't be reached") as caught:
        extract([url], tmp_path, on_progress=once(2_000_000, publisher.stop))
    assert "topsecret" not in str(caught.value)
    assert not [file for file in tmp_path.iterdir() if b"topsecret" in file.read_bytes()]
    publisher.rate = 0
    publisher.start()
    seen: list[Progress] = []
    url = f"{publisher.url}/corpus.zip?part=1&X-Amz-Signature=other"
    assert extract([url], tmp_path, on_progress=seen.append).read_bytes() == CONTENT
    assert next(progress.done for progress in seen if progress.done) > 1_000_000
    assert not [file for file in tmp_path.iterdir() if b"topsecret" in file.read_bytes()]
    with publisher.unneeded():
        assert extract([f"{server}/corpus.zip?part=1&X-Amz-Signature=third"], tmp_path).read_bytes() == CONTENT
    # Another file of the same name is another one.
    publisher.files["corpus.zip"] = OTHER
    assert extract([f"{publisher.url}/corpus.zip?part=2"], tmp_path).read_bytes() == OTHER


def test_killed_it_goes_on_at_once_from_where_it_was(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    command = [sys.executable, "-m", "snap2caption", "extract", url, "--out", str(tmp_path), "--sha256", SHA256]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # aria2 notes its progress once a second; killed before, it has nothing to go on from.
    until(lambda: publisher.sent > 2_000_000 and (tmp_path / ".corpus.zip.part.aria2").exists())
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


def test_a_killed_daemon_is_told_and_the_next_goes_on(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    killed: list[psutil.Process] = []

    def kill(progress: Progress) -> None:
        if not killed and progress.done > 2_000_000 and (tmp_path / ".corpus.zip.part.aria2").exists():
            killed.extend(child for child in psutil.Process().children() if child.name() == "aria2c")
            for daemon in killed:
                daemon.kill()

    with pytest.raises(UserError, match="resumes where it stopped"):
        extract([url], tmp_path, sha256=SHA256, on_progress=kill)
    assert [daemon.is_running() for daemon in killed] == [False]
    assert not (tmp_path / "corpus.zip").exists()
    publisher.rate = 0
    assert extract([url], tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_killed_before_the_final_name_nothing_is_fetched_again(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    kill = "import etl.download_files, os, signal; etl.download_files.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)"
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


def test_a_server_that_stays_away_is_told_and_the_next_goes_on(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=r"can't be reached .*then try again\.$"):
        extract([url], tmp_path, sha256=SHA256, on_progress=once(2_000_000, publisher.stop))
    assert names(tmp_path) == {".corpus.zip.part", ".corpus.zip.part.aria2", ".corpus.zip.part.json"}
    publisher.rate = 0
    publisher.start()
    seen: list[Progress] = []
    assert extract([url], tmp_path, sha256=SHA256, on_progress=seen.append).read_bytes() == CONTENT
    assert next(progress.done for progress in seen if progress.done) > 1_000_000


def test_of_two_mirrors_one_may_die(publish, tmp_path: Path) -> None:
    first, second = (publish(files={"corpus.zip": CONTENT}, rate=400_000) for _ in range(2))
    urls = [f"{server.url}/corpus.zip" for server in (first, second)]
    assert extract(urls, tmp_path, sha256=SHA256, on_progress=once(2_000_000, first.stop)).read_bytes() == CONTENT


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
    (tmp_path / ".corpus.zip.part").write_bytes(bytes(len(CONTENT)))
    if notes is not None:
        (tmp_path / ".corpus.zip.part.aria2").write_bytes(notes)
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path).read_bytes() == CONTENT


def test_two_at_once_download_once(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 2_000_000
    url = f"{publisher.url}/corpus.zip"
    command = [sys.executable, "-m", "snap2caption", "extract", url, "--out", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate()[0].strip() for process in both} == {str(tmp_path / "corpus.zip")}
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    assert publisher.sent < 1.5 * len(CONTENT)
