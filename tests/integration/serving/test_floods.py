"""Floods of slow clients, large bodies and odd requests: the probes still answer, and memory stays bounded.

`make fuzz` runs more rounds.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import patience
import pytest
from creators import headers, photo_of
from demo_service import DemoService
from patience import LONGEST, until
from process_memory import memory

from snap2caption.http.connections import LARGEST_HEAD

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("FUZZ_FLOODS", "1"))
HALF = 100
"""Connections that send half a request, in each round."""

BODY = 4 * 2**20
UNDER_WAY = 2 * 4
"""Keys, and requests that one may have at once."""

BOUND = UNDER_WAY * BODY + 2 * 5 * BODY + 250 * 4 * 2**20 // 10
"""Of memory, as docs/operations.md has it: bodies, two of them while they are parsed, connections."""


class Flood:
    """What strangers and creators do to *service*. Whatever is sent, a connection that is cut off is an answer too."""

    def __init__(self, service: DemoService, stack: ExitStack) -> None:
        self.url = service.url
        self.address = urlsplit(service.url)
        self.stack = stack

    def connect(self) -> socket.socket:
        return socket.create_connection((self.address.hostname, self.address.port), timeout=LONGEST)

    def half_requests(self) -> None:
        for _ in range(HALF):
            half = self.stack.enter_context(self.connect())
            half.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-")

    def slow_bodies(self) -> None:
        head = f"POST /generate-caption HTTP/1.1\r\nHost: x\r\nX-API-Key: ben\r\nContent-Length: {BODY}\r\n".encode()
        for _ in range(UNDER_WAY // 2):
            slow = self.stack.enter_context(self.connect())
            slow.sendall(head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + bytes(BODY // 2))

    def endless_heads(self) -> None:
        for start in (b"GET /healthz HTTP/1.1\r\nX: ", b"GET /", b"POST /feedback HTTP/1.1\r\n"):
            with self.connect() as endless:
                try:
                    endless.sendall(start)
                    for _ in range(1000):
                        endless.sendall(b"X: y\r\n" * (LARGEST_HEAD // 6) if start.endswith(b"\n") else bytes(65) * 250)
                except ConnectionError:
                    continue
                pytest.fail("a head without end was read")

    def wide_json(self) -> None:
        texts = (
            json.dumps({f"k{number}": 1 for number in range(300_000)}).encode(),
            b"[" * (BODY - 1),
            b'{"seed": ' + b"9" * (BODY - 100) + b"}",
            b" " * (BODY - 1),
        )
        for method, path in (("PUT", "/v1/voice"), ("POST", "/generate-caption"), ("POST", "/v1/feedback")):
            for text in texts:
                refused = self.send(method, path, text, headers("ana"))
                assert refused is None or refused.status_code in {413, 422, 429, 503}, refused.text

    def wide_forms(self) -> None:
        part = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        refused = self.send("POST", "/generate-caption", part * (BODY // len(part) - 1), headers("ana") | kind)
        assert refused is None or refused.status_code in {400, 429, 503}, refused.text

    def many_keys(self) -> None:
        with httpx.Client(timeout=LONGEST, trust_env=False) as client:
            for number in range(100):
                answer = client.put(f"{self.url}/v1/voice", headers={"X-API-Key": f"guess {number}"}, json={})
                assert answer.status_code in {401, 429}

    def send(self, method: str, path: str, body: bytes, more: dict[str, str]) -> httpx.Response | None:
        try:
            kind = {"Content-Type": "application/json"} | more
            return httpx.request(method, self.url + path, content=body, headers=kind, timeout=LONGEST, trust_env=False)
        except httpx.TransportError:
            return None


class Probe:
    """Asks a server for *path*, each time over a new connection, and keeps how long the longest answer took."""

    def __init__(self, place: str, path: str) -> None:
        self._place, self._path = place, path
        self.longest = 0.0
        self.answers: list[int] = []

    def look(self) -> None:
        started = time.monotonic()
        # Not with httpx, which first loads the CA certificates.
        connection = HTTPConnection(self._place, timeout=LONGEST)
        connection.request("GET", self._path)
        self.answers.append(connection.getresponse().status)
        connection.close()
        self.longest = max(self.longest, time.monotonic() - started)


@contextmanager
def other_server(folder: Path) -> Iterator[str]:
    """Run a server that nobody floods, to tell what is the machine's doing; return where it is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:

            def listens() -> bool:
                with socket.socket() as connection:
                    return connection.connect_ex(("127.0.0.1", port)) == 0

            until(listens)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def test_it_says_that_it_lives_whatever_is_sent(guarded: DemoService, tmp_path: Path) -> None:
    ended = threading.Event()
    # What is loaded at the first request is not caused by the flood.
    first = patience.post(f"{guarded.url}/generate-caption", files={"image": photo_of("teal")}, headers=headers("ana"))
    assert first.is_success
    before = memory(guarded.pid, "VmRSS")
    Path(f"/proc/{guarded.pid}/clear_refs").write_text("5")  # Resets the peak.
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        other = Probe(stack.enter_context(other_server(tmp_path)), "/")
        flooded = Probe(urlsplit(guarded.url).netloc, "/healthz")

        def watch() -> None:
            while not ended.wait(0.02):
                flooded.look()
                other.look()

        flood = Flood(guarded, stack)
        kinds: tuple[Callable[[], None], ...] = (
            flood.half_requests, flood.slow_bodies, flood.endless_heads, flood.wide_json, flood.wide_forms, flood.many_keys
        )  # fmt: skip
        watching = pool.submit(watch)
        for _ in range(ROUNDS):
            for done in [pool.submit(kind) for kind in kinds]:
                done.result()
        until(lambda: len(flooded.answers) > 20 or watching.done())
        ended.set()
        watching.result()
    grown = memory(guarded.pid, "VmHWM") - before
    print(
        f"/healthz: {len(flooded.answers)} times, the longest {flooded.longest:.2f} s; another server's {other.longest:.2f} s"
    )
    print(f"memory: {before / 2**20:.0f} MiB before, {grown / 2**20:.0f} more at its peak, {BOUND / 2**20:.0f} allowed")
    assert set(flooded.answers) == {200}
    if ROUNDS > 1:
        # Or like an idle server next to it, because the machine and this process are busy with other things.
        assert flooded.longest < max(1.0, 5 * other.longest)
    assert grown < BOUND
    until(lambda: httpx.get(f"{guarded.url}/readyz", timeout=LONGEST, trust_env=False).is_success)
    assert not guarded.faults
