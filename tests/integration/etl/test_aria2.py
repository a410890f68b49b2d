"""A daemon that runs already, and what is on its list beside our download; a daemon of our own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aria2p
import psutil
import pytest
from archives import zip_of
from patience import until

from demo.stack.ports import Ports
from etl.extract import Progress, extract
from snap2caption.errors import UserError

pytestmark = pytest.mark.integration

CONTENT = zip_of(os.urandom(4 * 1024 * 1024))
SECRET = "a secret of the daemon"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[aria2p.Client]:
    """A running aria2, which the settings name; it works in a folder of its own."""
    port = Ports(tmp_path / "ports.json").get("aria2")
    home = tmp_path / "daemon"
    home.mkdir()
    command = ["aria2c", "--no-conf", "--enable-rpc", f"--rpc-listen-port={port}", f"--rpc-secret={SECRET}", "--quiet"]
    with subprocess.Popen(command, cwd=home) as process:
        client = aria2p.Client("http://127.0.0.1", port, SECRET)

        def answers() -> bool:
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", port)) == 0

        until(answers)
        monkeypatch.setenv("SNAP2CAPTION_ARIA2_URL", f"http://127.0.0.1:{port}/jsonrpc")
        monkeypatch.setenv("SNAP2CAPTION_ARIA2_SECRET", SECRET)
        yield client
        process.kill()


def on_the_list(client: aria2p.Client) -> set[str]:
    lists = (client.tell_active(), client.tell_waiting(0, 99), client.tell_stopped(0, 99))
    return {download["gid"] for found in lists for download in found}


@pytest.fixture
def others(daemon: aria2p.Client, publish, tmp_path: Path) -> list[str]:
    """Downloads of somebody else: one done, one that failed, one paused, one under way."""
    slow = publish(files={"a.zip": CONTENT}, rate=1000)
    folder = {"dir": str(tmp_path / "daemon")}
    done = daemon.add_uri([f"{publish(files={'a.zip': b'a'}).url}/a.zip"], {**folder, "out": "done"})
    failed = daemon.add_uri([f"{slow.url}/nothing.zip"], {**folder, "out": "failed"})
    paused = daemon.add_uri([f"{slow.url}/a.zip"], {**folder, "out": "paused", "pause": "true"})
    active = daemon.add_uri([f"{slow.url}/a.zip"], {**folder, "out": "active"})
    until(lambda: {daemon.tell_status(gid)["status"] for gid in (done, failed)} == {"complete", "error"})
    return [done, failed, paused, active]


def states(daemon: aria2p.Client, others: list[str]) -> list[str]:
    assert on_the_list(daemon) == set(others)
    return [daemon.tell_status(gid)["status"] for gid in others]


def test_a_running_daemon_downloads_and_keeps_nothing_of_ours(
    daemon: aria2p.Client, others: list[str], publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    monkeypatch.chdir(tmp_path)
    children = {child.pid for child in psutil.Process().children()}
    during: list[int] = []

    def watch(_: Progress) -> None:
        during.append(len(on_the_list(daemon)))
        assert {child.pid for child in psutil.Process().children()} == children  # no daemon of our own

    # A folder that means another one in the daemon's.
    path = extract([f"{publisher.url}/corpus.zip"], Path("out"), on_progress=watch)
    assert path.read_bytes() == CONTENT
    assert {file.name for file in path.parent.iterdir()} == {".corpus.zip.lock", "corpus.zip", "corpus.zip.source.json"}
    assert max(during) == len(others) + 1
    assert states(daemon, others) == ["complete", "error", "paused", "active"]


def test_a_failure_takes_ours_off_its_list(daemon: aria2p.Client, others: list[str], publisher, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="404"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path / "out")
    assert states(daemon, others) == ["complete", "error", "paused", "active"]


def test_an_interrupted_download_leaves_the_list_and_goes_on(
    daemon: aria2p.Client, others: list[str], publisher, tmp_path: Path
) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 400_000
    url = f"{publisher.url}/corpus.zip"

    def interrupt(progress: Progress) -> None:
        if progress.done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract([url], tmp_path / "out", on_progress=interrupt)
    assert states(daemon, others) == ["complete", "error", "paused", "active"]
    seen: list[int] = []
    assert extract([url], tmp_path / "out", on_progress=lambda at: seen.append(at.done)).read_bytes() == CONTENT
    assert next(done for done in seen if done) > 900_000


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_killed_run_left_on_its_list_is_taken_off(
    daemon: aria2p.Client, others: list[str], publisher, tmp_path: Path, kill: signal.Signals
) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 200_000
    command = [sys.executable, "-m", "snap2caption", "extract", f"{publisher.url}/corpus.zip"]
    process = subprocess.Popen([*command, "--out", str(tmp_path / "out")], stderr=subprocess.DEVNULL)
    until(lambda: len(on_the_list(daemon)) > len(others))
    process.send_signal(kill)
    process.wait()
    # By SIGTERM it is stopped, and takes ours off; SIGKILL leaves that to the next run.
    assert (len(on_the_list(daemon)) == len(others)) == (kill == signal.SIGTERM)
    publisher.rate = 0
    assert extract([f"{publisher.url}/corpus.zip"], tmp_path / "out").read_bytes() == CONTENT
    assert states(daemon, others) == ["complete", "error", "paused", "active"]


@pytest.mark.parametrize("and_forgotten", [False, True])
def test_ours_taken_off_by_somebody_else_is_one_sentence(
    daemon: aria2p.Client, publisher, tmp_path: Path, and_forgotten: bool
) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 200_000

    def remove(progress: Progress) -> None:
        if progress.done:
            for download in daemon.tell_active():
                daemon.force_remove(download["gid"])
            if and_forgotten:
                daemon.purge_download_result()

    with pytest.raises(UserError, match=r"Somebody removed .* from the aria2 daemon's list; try again"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path / "out", on_progress=remove)
    assert on_the_list(daemon) == set()


def test_a_wrong_secret_is_one_sentence(
    daemon: aria2p.Client, publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP2CAPTION_ARIA2_SECRET", "wrong")
    with pytest.raises(UserError, match=r"refused our secret; set SNAP2CAPTION_ARIA2_SECRET to its --rpc-secret\."):
        extract([f"{publisher.url}/corpus.zip"], tmp_path / "out")


def test_a_daemon_that_goes_away_is_one_sentence(daemon: aria2p.Client, publisher, tmp_path: Path) -> None:
    publisher.files, publisher.rate = {"corpus.zip": CONTENT}, 200_000

    def shut(progress: Progress) -> None:
        if progress.done:
            daemon.force_shutdown()

    with pytest.raises(UserError, match=r"No aria2 daemon answers at http://127\.0\.0\.1:\d+; start it"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path / "out", on_progress=shut)


def test_the_secret_of_our_own_daemon_is_seen_by_nobody(
    publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.files = {"corpus.zip": CONTENT}
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    commands: list[str] = []

    def watch(_: Progress) -> None:
        commands.extend(" ".join(child.cmdline()) for child in psutil.Process().children() if child.name() == "aria2c")

    # The download goes by the proxy, which is away; the daemon answered us all the same.
    with pytest.raises(UserError, match="can't be reached"):
        extract([f"{publisher.url}/corpus.zip"], tmp_path, on_progress=watch)
    assert commands
    assert not any("secret" in command for command in commands)
