"""A web server with range requests, whose behaviour a test can change."""

import http.server
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Publisher:
    """Serves ``/<name>`` in ranges; ``rate`` bytes a second a connection (0: as fast as it can)."""

    files: dict[str, bytes]
    rate: int = 0
    requested: list[str] = field(default_factory=list)
    sent: int = 0
    url: str = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    publisher: Publisher

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self.publisher.files.get(self.path.lstrip("/"))
        self.publisher.requested.append(self.path)
        if content is None:
            self.send_error(404)
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(match[1]) if match else 0
        last = int(match[2]) if match and match[2] else len(content) - 1
        self.send_response(206 if match else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if match:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.end_headers()
        step = self.publisher.rate // 20 if self.publisher.rate else 1 << 20
        for start in range(first, last + 1, step) if body else ():
            data = content[start : min(start + step, last + 1)]
            try:
                self.wfile.write(data)
            except OSError:
                return
            self.publisher.sent += len(data)
            if self.publisher.rate:
                time.sleep(0.05)  # the throttle that is being simulated

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    found = Publisher({})
    handler = type("Handler", (_Handler,), {"publisher": found})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()
