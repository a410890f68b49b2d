import gzip
import hashlib
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from archives import zip_of
from patience import until

from etl.extract import Progress, extract
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

# The same bytes in each of pytest-xdist's workers: names of tests are made of them.
_BYTES = random.Random(16)
CONTENT = zip_of(_BYTES.randbytes(6 * 1024 * 1024))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = zip_of(_BYTES.randbytes(6 * 1024 * 1024))


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


def test_downloads_over_many_connections_and_verifies(publisher, tmp_path: Path) -> None:
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
def test_an_older_download_is_replaced_when_another_has_come(publisher, tmp_path: Path, asked) -> None:
    publisher.files = {"corpus.zip": zip_of(b"old"), "moved/corpus.zip": CONTENT}
    old = extract([f"{publisher.url}/corpus.zip"], tmp_path)
    seen: list[bytes] = []
    url = f"{publisher.url}/moved/corpus.zip"
    assert (
        extract([url], tmp_path, **asked, on_progress=lambda _: seen.append(old.read_bytes())).read_bytes() == CONTENT
    )
    assert set(seen) == {zip_of(b"old")}
    assert names(tmp_path) == {"corpus.zip", "corpus.zip.source.json"}


@pytest.mark.parametrize("own", [zip_of(b"mine"), b"no zip, and mine"])
def test_a_file_of_somebody_else_is_left_alone(publisher, tmp_path: Path, own: bytes) -> None:
    (tmp_path / "corpus.zip").write_bytes(own)
    (tmp_path / "corpus.zip.part").write_bytes(own)
    publisher.files = {"corpus.zip": CONTENT}
    for asked in ({}, {"sha256": SHA256}, {"size": len(CONTENT)}):
        with pytest.raises(UserError, match=r"corpus.zip exists and was not fetched from these URLs; move it away, or"):
            extract([f"{publisher.url}/corpus.zip"], tmp_path, **asked)
    assert publisher.requested == []
    assert (tmp_path / "corpus.zip").read_bytes() == (tmp_path / "corpus.zip.part").read_bytes() == own


def test_a_file_of_somebody_else_will_do_if_it_has_the_digest(publisher, tmp_path: Path) -> None:
    (tmp_path / "corpus.zip").write_bytes(CONTENT)
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256=SHA256).read_bytes() == CONTENT
    assert publisher.requested == []


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"sha256": "0" * 64}, r"does not have the digest 0{64}.*removed"),
        (
            {"size": len(CONTENT) - 1},
            rf"has {len(CONTENT)} bytes, not the requested {len(CONTENT) - 1}; check the size",
        ),
    ],
)
def test_a_mistyped_digest_or_size_costs_no_finished_download(publisher, tmp_path: Path, asked, sentence: str) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    url = f"{publisher.url}/corpus.zip"
    extract([url], tmp_path)
    with pytest.raises(UserError, match=sentence):
        extract([url], tmp_path, **asked)
    assert (tmp_path / "corpus.zip").read_bytes() == CONTENT
    requests = len(publisher.requested)
    assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT
    assert len(publisher.requested) == requests


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


def test_a_wrong_digest_leaves_nothing_behind(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    with pytest.raises(UserError, match=r"does not have the digest 0{64}.*removed"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, sha256="0" * 64)
    assert names(tmp_path) == set()


PAGE = b"\r\n<!DOCTYPE html><title>Sign in</title>" + bytes(2000)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"", r"sent an empty file; check the URL, or give another mirror\."),
        (PAGE, r"is not a zip but a web page; open the URL in a browser, and give the address that the download"),
        (b"\xef\xbb\xbf<HTML><body>busy", r"is not a zip but a web page; open"),
        (
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
            r"is not a zip but an XML document; check the URL",
        ),
        (b'{"error": "quota"}', r"is not a zip but a JSON document; check the URL"),
        (
            gzip.compress(zip_of(b"x"), mtime=0),
            r"is not a zip but compressed with gzip, when it was packed or by the server",
        ),
        (CONTENT[:-30], r"is not a zip but a zip without its end; try again, or give another mirror\."),
        (b"Rar!\x1a\x07\x01\x00", r"is not a zip but a RAR archive; pack it as a zip\."),
        (b"17 bytes of something", r"sent is not a zip; check the URL, or give another mirror\."),
    ],
)
@pytest.mark.parametrize("sha256", [None, SHA256])
def test_what_is_no_zip_is_refused_and_not_kept(
    publisher, tmp_path: Path, sent: bytes, sentence: str, sha256: str | None
) -> None:
    publisher.files = {"corpus.zip": sent}
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=sentence):
        extract([url], tmp_path, sha256=sha256)
    assert names(tmp_path) == set()
    publisher.files = {"corpus.zip": CONTENT}  # the server is mended
    assert extract([url], tmp_path, sha256=sha256).read_bytes() == CONTENT


def test_a_page_that_a_redirect_leads_to_is_refused(publisher, tmp_path: Path) -> None:
    publisher.files = {"login": PAGE}
    publisher.redirects = {"corpus.zip": "/login"}
    with pytest.raises(UserError, match=r"What .*/corpus\.zip sent is not a zip but a web page"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path)
    assert names(tmp_path) == set()


def test_a_page_that_was_taken_for_the_zip_before_is_replaced(publisher, tmp_path: Path) -> None:
    publisher.files = {"corpus.zip": zip_of(b"old")}
    url = f"{publisher.url}/corpus.zip"
    extract([url], tmp_path).write_bytes(PAGE)
    publisher.files = {"corpus.zip": CONTENT}
    assert extract([url], tmp_path).read_bytes() == CONTENT


def test_of_unknown_length_and_cut_off_it_is_no_zip(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.tells_length = {"corpus.zip": CONTENT[:-100]}, False
    with pytest.raises(UserError, match="is not a zip but a zip without its end; try again"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path)
    assert names(tmp_path) == set()


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
    requests = len(publisher.requested)
    assert extract([f"{server}/corpus.zip?part=1&X-Amz-Signature=third"], tmp_path).read_bytes() == CONTENT
    assert len(publisher.requested) == requests
    # Another file of the same name is another one.
    publisher.files["corpus.zip"] = OTHER
    assert extract([f"{publisher.url}/corpus.zip?part=2"], tmp_path).read_bytes() == OTHER


def test_a_mirror_with_another_file_is_found_by_the_digest(publish, tmp_path: Path) -> None:
    servers = [publish(files={"corpus.zip": content}, rate=2_000_000) for content in (CONTENT, OTHER)]
    with pytest.raises(
        UserError, match=r"or one of its 1 mirrors sent does not have the digest .* give another mirror"
    ):
        extract([f"{server.url}/corpus.zip" for server in servers], tmp_path, sha256=SHA256)
    assert names(tmp_path) == set()


def test_another_size_is_refused_before_the_file_has_come(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 100_000
    with pytest.raises(UserError, match=rf"has {len(CONTENT)} bytes, not the requested 17"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, size=17)
    assert publisher.sent < len(CONTENT) / 2
    assert "corpus.zip" not in names(tmp_path)


def test_another_size_is_refused_in_the_end(publisher, tmp_path: Path) -> None:
    publisher.files, publisher.tells_length = {"corpus.zip": CONTENT}, False
    url = f"{publisher.url}/corpus.zip"
    with pytest.raises(UserError, match=rf"has {len(CONTENT)} bytes, not the requested 17"):
        extract([url], tmp_path, size=17)
    assert "corpus.zip" not in names(tmp_path)
    assert extract([url], tmp_path, size=len(CONTENT)).read_bytes() == CONTENT


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
