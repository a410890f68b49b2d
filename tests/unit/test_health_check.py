"""The health check of containers, against a server that answers as servers do."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from server_thread import answering

pytestmark = pytest.mark.unit

SCRIPT = Path(__file__).parents[2] / "containers" / "bin" / "healthy"
LOGIN = f"Basic {base64.b64encode(b'serving:secret').decode()}"
TOKEN = "Token secret"


class Answers(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and asks some paths' callers who they are."""

    def do_GET(self) -> None:
        name = self.path.strip("/")
        known = self.headers["Authorization"]
        status = {"login": 200 if known == LOGIN else 401, "token": 200 if known == TOKEN else 401}.get(name)
        self.send_response(status or int(name))
        self.end_headers()
        self.wfile.write(b'{"database": {"status": "healthy"}}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Answers)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize(
    ("arguments", "path", "healthy"),
    [
        ((), "200", True),
        ((), "503", False),
        ((), "401", False),
        (("--or-status=401",), "401", True),
        (("--or-status=401",), "500", False),
        (("--field=database.status=healthy",), "200", True),
        (("--field=database.status=unhealthy",), "200", False),
        (("--field=scheduler.status=healthy",), "200", False),
        (("--user=serving", "--password-file={file}"), "login", True),
        (("--user=admin", "--password-file={file}"), "login", False),
        (("--token-file={file}",), "token", True),
        (("--token-file={file}x",), "token", False),
    ],
)
def test_it_says_whether_a_server_is_well(
    url: str, tmp_path: Path, arguments: tuple[str, ...], path: str, healthy: bool
) -> None:
    (tmp_path / "secret").write_text("secret\n")
    options = [argument.format(file=tmp_path / "secret") for argument in arguments]
    done = subprocess.run([sys.executable, SCRIPT, *options, f"{url}/{path}"], capture_output=True, text=True)
    assert (done.returncode == 0) == healthy, done.stderr
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) != healthy


def test_nobody_there_is_not_well() -> None:
    # Nothing listens on port 9.
    done = subprocess.run([sys.executable, SCRIPT, "http://127.0.0.1:9/"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "refused" in done.stderr
