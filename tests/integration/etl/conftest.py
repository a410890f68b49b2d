"""A dataset version, a web server with range requests, whose behavior a test can change, and a disk that is soon
full.
"""

import http.server
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest

from demo.corpus.archive import write_corpus
from etl.transform import transform


@dataclass
class Publisher:
    """Serves ``/<name>``; ``rate`` bytes a second a connection (0: as fast as it can)."""

    files: dict[str, bytes] = field(default_factory=dict)
    rate: int = 0
    ranges: bool = True
    """Whether it serves a part of a file alone; if not, it sends the whole whatever is asked for."""
    tells_length: bool = True
    status: int = 0
    """What it answers to everything, if not 0."""
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """More headers of a file's answer."""
    retry_after: int = 0
    """Seconds that it wants to be left alone for after `throttle`."""
    in_words: bool = False
    """Whether it says so by a date."""
    too_early: int = 0
    """Requests that came before that."""
    requested: list[str] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    _throttled: int = 0
    _until: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def throttle(self, status: int) -> None:
        """Answer everything by *status* until it has been left alone for as long as it says."""
        self._throttled, self._until = status, time.monotonic() + self.retry_after

    def refusal(self) -> tuple[int, str]:
        """Return the status and the Retry-After of an answer; status 0: there is none to give."""
        if time.monotonic() >= self._until:
            return 0, ""
        self.too_early += 1
        return self._throttled, formatdate(time.time() + self.retry_after, usegmt=True) if self.in_words else str(
            self.retry_after
        )

    @contextmanager
    def unneeded(self) -> Iterator[None]:
        """Serve nothing meanwhile, so that whoever fetches anyway fails.

        To count requests would not show it: those of connections that a finished download broke off may still come.
        """
        files, self.files = self.files, {}
        yield
        self.files = files

    def start(self) -> None:
        """Serve; after a stop at the same address as before."""
        handler = type("Handler", (_Handler,), {"publisher": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Cut off every connection, as the system does for a killed process."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._server.connections:
            with suppress(OSError):  # it has been closed already
                connection.shutdown(socket.SHUT_RDWR)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # of the default of 5, some of 16 connections come a second late

    def __init__(self, *arguments: object) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(*arguments)

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a connection that was cut off."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    publisher: Publisher

    def do_GET(self) -> None:
        publisher = self.publisher
        name = self.path.lstrip("/").partition("?")[0]
        content = publisher.files.get(name)
        publisher.requested.append(self.path)
        refused, retry_after = publisher.refusal()
        if refused or name in publisher.redirects:
            self.send_response(refused or 302)
            self.send_header(*(("Retry-After", retry_after) if refused else ("Location", publisher.redirects[name])))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status = publisher.status or (404 if content is None else 0)
        if status or content is None:
            self.send_error(status)
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if publisher.ranges else None
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else len(content) - 1
        self.send_response(206 if match else 200)
        for header in publisher.headers.get(name, ()):
            self.send_header(*header)
        if publisher.ranges:
            self.send_header("Accept-Ranges", "bytes")
        if publisher.tells_length:
            self.send_header("Content-Length", str(last - first + 1))
        else:
            self.close_connection = True
        if match:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        at = first
        while at <= last:
            rate = publisher.rate
            data = content[at : min(at + (rate // 20 or 1 << 20), last + 1)]
            try:
                self.wfile.write(data)
            except OSError:
                return
            publisher.sent += len(data)
            at += len(data)
            if rate:
                time.sleep(0.05)  # the throttle that is being simulated

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    return transform(write_corpus(folder / "corpus.zip", 60, 1), folder / "out")


@pytest.fixture
def publish() -> Iterator[Callable[..., Publisher]]:
    """Start as many servers as the test wants."""
    with ExitStack() as stack:

        def start(**how: object) -> Publisher:
            publisher = Publisher(**how)
            publisher.start()
            stack.callback(publisher.stop)
            return publisher

        yield start


@pytest.fixture
def publisher(publish: Callable[..., Publisher]) -> Publisher:
    return publish()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an extraction wait for tenths of a second before a retry, and give up after three."""
    monkeypatch.setattr("etl.extract.PAUSES", (0.1, 0.2, 0.3))
