"""Processes of a stack end with whoever started them, however that ends."""

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import boto3
import httpx
import patience
import psutil
import pytest
from exposed import exposed
from open_doors import check_doors
from patience import LONGEST, until

from demo.stack import Stack
from demo.stack.leftovers import leftovers
from demo.stack.ports import HOST, Ports
from demo.stack.service import Job, ProcessError, Service
from demo.stack.services.files import files
from demo.stack.services.seaweedfs import seaweedfs

pytestmark = pytest.mark.integration

# A process that leaves its parent and its session, and does not heed SIGTERM; it has a child that does the same.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
open(sys.argv[1] + f"/{os.getpid()}", "w").close()
time.sleep(3600)
"""

STARTER = """
import os, signal, sys, time
from functools import partial
from pathlib import Path
from demo.stack import Stack
from demo.stack.service import Job

# Of a shell in the background, children ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    with Stack(Path(sys.argv[1])) as stack:
        stack.run(Job(name="stubborn", command=(sys.executable, "-c", sys.argv[2], sys.argv[3]), environment=os.environ, grace=2.0))
        time.sleep(3600)
"""


def stubborn(folder: Path) -> Job:
    command = (sys.executable, "-c", STUBBORN, str(folder))
    return Job(name="stubborn", command=command, environment=os.environ, grace=1.0)


@pytest.fixture
def born(tmp_path: Path) -> Path:
    folder = tmp_path / "born"
    folder.mkdir()
    return folder


@pytest.fixture
def starter(tmp_path: Path, born: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with a stack in which four stubborn processes run."""
    script = tmp_path / "starter.py"
    script.write_text(textwrap.dedent(STARTER))
    command = [sys.executable, str(script), str(tmp_path / "state"), STUBBORN, str(born)]
    with subprocess.Popen(command) as process:
        until(lambda: len(list(born.iterdir())) == 4)
        yield process
        process.kill()


def alive(born: Path) -> list[int]:
    return [pid for path in born.iterdir() if is_running(pid := int(path.name))]


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_starter(
    starter: "subprocess.Popen[bytes]", born: Path, tmp_path: Path, number: signal.Signals
) -> None:
    starter.send_signal(number)
    starter.wait(LONGEST)
    until(lambda: not leftovers(str(tmp_path / "state")))
    assert alive(born) == []


def test_what_a_killed_supervisor_left_is_ended_by_the_next(
    starter: "subprocess.Popen[bytes]", born: Path, tmp_path: Path
) -> None:
    (supervisor,) = psutil.Process(starter.pid).children()
    supervisor.kill()
    starter.kill()
    starter.wait()
    assert len(alive(born)) == 4
    with Stack(tmp_path / "state"):
        assert alive(born) == []


def test_leaving_the_stack_ends_everything(tmp_path: Path, born: Path) -> None:
    def crash() -> None:
        with Stack(tmp_path / "state") as stack:
            stack.run(stubborn(born))
            until(lambda: len(list(born.iterdir())) == 4)
            assert stack.memory() > 4 * 2**20
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert alive(born) == []


def test_what_a_service_writes_is_its_users_alone(tmp_path: Path) -> None:
    """Stores, databases and logs hold photos, voices and passwords."""
    usual = os.umask(0o022)
    try:
        with Stack(tmp_path / "state") as stack:
            command = ("/bin/sh", "-c", f": >{shlex.quote(str(tmp_path / 'written'))}")
            running = stack.run(Job(name="writer", command=command, environment=os.environ))
            until(lambda: running.status() is not None)
    finally:
        os.umask(usual)
    assert stat.S_IMODE((tmp_path / "written").stat().st_mode) == 0o600


def test_the_object_store_starts_answers_and_keeps_its_data(tmp_path: Path) -> None:
    for _ in range(2):
        service, client, console = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
        with Stack(tmp_path) as stack, httpx.Client(timeout=LONGEST) as browser:
            stack.start([service])
            until(partial(_answer, browser, console.url))
            assert patience.get(client["AWS_ENDPOINT_URL"]).status_code == httpx.codes.FORBIDDEN
            # S3, the console, the metrics, and the server's parts among themselves.
            assert check_doors(tmp_path) >= 6
            assert exposed(tmp_path / "seaweedfs") == []
        with pytest.raises(httpx.TransportError):
            patience.get(client["AWS_ENDPOINT_URL"])


def test_the_console_of_the_object_store_asks_who_is_there(tmp_path: Path) -> None:
    service, client, console = seaweedfs(tmp_path, Ports(tmp_path / "ports.json"))
    with Stack(tmp_path) as stack, httpx.Client(follow_redirects=True, timeout=LONGEST) as browser:
        stack.start([service])
        s3 = boto3.client(
            "s3",
            endpoint_url=client["AWS_ENDPOINT_URL"],
            aws_access_key_id=client["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=client["AWS_SECRET_ACCESS_KEY"],
            region_name=client["AWS_DEFAULT_REGION"],
        )
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="a/one.txt", Body=b"1")
        asked = until(partial(_answer, browser, f"{console.url}/photos/a"))
        assert asked.url.path == "/login"
        assert "one.txt" not in asked.text
        (token,) = re.findall(r'name="csrf_token" value="([0-9a-f]+)"', asked.text)
        assert browser.get(f"{console.files}/photos/a/one.txt").content != b"1"
        form = {"csrf_token": token, "username": console.user, "password": console.password}
        assert browser.post(asked.url, data=form).is_success
        assert "one.txt" in browser.get(f"{console.url}/photos/a").text
        assert browser.get(f"{console.files}/photos/a/one.txt").content == b"1"


def _answer(browser: httpx.Client, url: str) -> httpx.Response | None:
    """Return a page; None while nothing listens, as the console starts after S3 is ready."""
    try:
        return browser.get(url)
    except httpx.ConnectError:
        return None


def test_files_are_served_in_ranges(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    service, address = files(folder, Ports(tmp_path / "ports.json"))
    (folder / "a.zip").write_bytes(b"0123456789")
    with Stack(tmp_path) as stack:
        stack.start([service])
        answer = patience.get(f"{address}/a.zip", headers={"Range": "bytes=2-5"})
    assert (answer.status_code, answer.content) == (httpx.codes.PARTIAL_CONTENT, b"2345")


def test_a_busy_port_is_a_sentence(tmp_path: Path) -> None:
    service, address = files(tmp_path, Ports(tmp_path / "ports.json"))
    port = httpx.URL(address).port or 0
    with (
        socket.create_server((HOST, port)),
        Stack(tmp_path) as stack,
        pytest.raises(ProcessError, match=rf"^Port {port} for files is in use by another program; "),
    ):
        stack.start([service])


def python(code: str, tmp_path: Path, timeout: float = LONGEST) -> Service:
    return Service(
        name="broken",
        command=(sys.executable, "-c", code),
        environment=os.environ,
        ready_url=f"http://{HOST}:{Ports(tmp_path / 'ports.json').get('broken')}/",
        timeout=timeout,
        grace=1.0,
    )


def test_a_service_that_dies_tells_its_last_words(tmp_path: Path) -> None:
    service = python("raise SystemExit('no space left on the moon')", tmp_path)
    with Stack(tmp_path) as stack, pytest.raises(ProcessError, match=r"broken ended by itself; .*broken\.log") as error:
        stack.start([service])
    assert str(error.value).endswith("no space left on the moon")


def test_a_service_that_never_answers_is_given_up(tmp_path: Path) -> None:
    service = python("import time; time.sleep(3600)", tmp_path, timeout=1.0)
    with Stack(tmp_path) as stack, pytest.raises(ProcessError, match="broken was not ready after 1 s"):
        stack.start([service])


def test_a_service_that_dies_later_is_found_out(tmp_path: Path) -> None:
    service, _ = files(tmp_path / "corpus", Ports(tmp_path / "ports.json"))
    with Stack(tmp_path) as stack:
        stack.start([service])
        stack.check([service])
        for process in leftovers(str(tmp_path)):
            process.kill()
        with pytest.raises(ProcessError, match="files ended by itself"):
            until(lambda: bool(stack.check([service])))
