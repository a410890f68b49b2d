"""Connection limits, on real sockets: clients that send and read slowly, too much, or nothing."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from patience import LONGEST, until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from snap2caption.http.connections import LARGEST_HEAD, Limits, configure, network_of

pytestmark = pytest.mark.unit

PATIENT = Limits(
    connections=100, per_peer=100, head_seconds=LONGEST, keep_alive_seconds=int(LONGEST), write_seconds=LONGEST
)
"""Nothing is too late, and there is room: each test takes back what it is about."""

SOON = 0.2
LARGE = bytes(16 * 2**20)
"""More than the kernel keeps for a client that does not read."""


@dataclass
class Service:
    port: int
    held: threading.Event
    """Lets go those that asked for ``/held``."""
    broken_off: threading.Event
    """Somebody did not read the answer to ``/large``."""
    server: uvicorn.Server

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST, source_address=(source, 0))

    def lives(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=LONGEST, trust_env=False).text == "ok"

    @property
    def open(self) -> int:
        return len(self.server.server_state.connections)


@contextmanager
def serving(limits: Limits) -> Iterator[Service]:
    held, broken_off = threading.Event(), threading.Event()

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def refuse(_: Request) -> Response:
        return PlainTextResponse("no", 401)

    def hold(_: Request) -> Response:
        held.wait(LONGEST)
        return PlainTextResponse("held")

    async def read(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def large(_: Request) -> Response:
        async def pieces():
            try:
                for start in range(0, len(LARGE), 2**16):
                    yield LARGE[start : start + 2**16]
            except BaseException:
                broken_off.set()
                raise

        return StreamingResponse(pieces())

    routes = [
        Route("/healthz", healthz),
        Route("/refused", refuse, methods=["GET", "POST"]),
        Route("/held", hold),
        Route("/read", read, methods=["POST"]),
        Route("/large", large),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configure(Starlette(routes=routes), limits, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    until(lambda: server.started)
    try:
        yield Service(listener.getsockname()[1], held, broken_off, server)
    finally:
        held.set()
        server.should_exit = server.force_exit = True
        thread.join()


def rest(connection: socket.socket) -> bytes:
    """Return what comes until the server closes, as it may while we still send."""
    received = bytearray()
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return bytes(received)


def problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    found = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    assert found["status"] == int(head.split()[1])
    return found["status"], found["reason"]


def test_a_request_whose_head_does_not_end_is_given_up() -> None:
    with serving(replace(PATIENT, head_seconds=SOON)) as service:
        with service.connect() as silent, service.connect() as half, service.connect() as later:
            half.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            later.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert later.recv(65536).endswith(b"ok")
            later.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            assert rest(silent) == b""
            assert problem(rest(half)) == problem(rest(later)) == (408, "slow_head")
        assert service.lives()


def test_a_head_that_comes_byte_by_byte_is_given_up() -> None:
    with serving(replace(PATIENT, head_seconds=SOON)) as service, service.connect() as dripping:
        closed = threading.Event()

        def drip() -> None:
            try:
                dripping.sendall(b"GET / HTTP/1.1\r\nX: ")
                while not closed.wait(SOON / 10):
                    dripping.sendall(b"x")
            except OSError:
                pass

        thread = threading.Thread(target=drip)
        thread.start()
        assert problem(rest(dripping)) == (408, "slow_head")
        closed.set()
        thread.join()


@pytest.mark.parametrize(
    "start",
    [b"GET /healthz HTTP/1.1\r\nX: ", b"GET /", b"GET /healthz HTTP/1.1\r\n"],
    ids=["field", "target", "fields"],
)
def test_a_head_without_end_is_refused_at_once(start: bytes) -> None:
    piece = b"X: y\r\n" * 200 if start.endswith(b"\n") else b"x" * 1200
    sent = 0
    with serving(PATIENT) as service:
        with service.connect() as endless:
            try:
                endless.sendall(start)
                while sent < 1000 * LARGEST_HEAD:
                    endless.sendall(piece)
                    sent += len(piece)
            except ConnectionError:
                pass
        # What the kernel takes on both sides before it hears that nobody reads.
        assert sent < 1000 * LARGEST_HEAD
        with service.connect() as long:
            long.sendall(start + piece * 14)
            assert problem(rest(long)) == (431, "head_too_large")
        assert service.lives()


def test_what_is_no_http_is_refused_in_so_many_words() -> None:
    with serving(PATIENT) as service:
        for sent in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"):
            with service.connect() as connection:
                connection.sendall(sent)
                assert problem(rest(connection)) == (400, "malformed")


@pytest.mark.parametrize("length", [5, 0, 45])
def test_a_request_with_two_lengths_is_refused(length: int) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(PATIENT) as service, service.connect() as connection:
        connection.sendall(
            b"POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            % length
            + hidden
        )
        assert problem(rest(connection)) == (400, "malformed")


def test_one_more_takes_the_place_of_who_has_waited_longest() -> None:
    with serving(replace(PATIENT, connections=4)) as service, ExitStack() as stack:
        busy, *waiting = (stack.enter_context(service.connect(f"127.0.0.{number}")) for number in range(1, 5))
        busy.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        waiting[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert waiting[0].recv(65536).endswith(b"ok")
        waiting[1].sendall(b"GET /healthz HTTP/1.1\r\nHo")
        until(lambda: service.open == 4)
        # The one that was answered last has not waited longest.
        assert service.lives()
        assert rest(waiting[1]) == b""
        for _ in range(20):
            assert service.lives()
        service.held.set()
        assert busy.recv(65536).endswith(b"held")


def test_who_is_answered_keeps_its_place() -> None:
    with serving(replace(PATIENT, connections=3)) as service, ExitStack() as stack:
        busy = [stack.enter_context(service.connect()) for _ in range(3)]
        for connection in busy:
            connection.sendall(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        until(lambda: len(service.server.server_state.tasks) == 3)
        with service.connect() as refused:
            assert problem(rest(refused)) == (503, "too_many_connections")
        service.held.set()
        assert all(connection.recv(65536).endswith(b"held") for connection in busy)


def test_one_peer_has_its_share_of_the_places() -> None:
    with serving(replace(PATIENT, connections=8, per_peer=3)) as service, ExitStack() as stack:
        other = stack.enter_context(service.connect("127.0.0.2"))
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.recv(65536).endswith(b"ok")
        flood = [stack.enter_context(service.connect()) for _ in range(30)]
        # They take the places of one another, and nobody else's.
        assert [rest(connection) for connection in flood[:27]] == [b""] * 27
        assert service.open <= 4
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.recv(65536).endswith(b"ok")


def test_who_does_not_read_is_given_up() -> None:
    with serving(replace(PATIENT, write_seconds=SOON)) as service:
        for close in (b"", b"Connection: close\r\n"):
            with service.connect() as connection:
                connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n" + close + b"\r\n")
                until(lambda: service.open == 0)
        assert service.lives()


def test_a_slow_reader_is_not_given_up_while_it_reads() -> None:
    with serving(PATIENT) as service, service.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len(rest(connection)) > len(LARGE)


def test_the_rest_of_a_refused_body_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snap2caption.http.connections._LINGER", SOON)
    with serving(PATIENT) as service, service.connect() as connection:
        connection.sendall(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 401")
        try:
            while True:
                connection.sendall(bytes(1000))
        except ConnectionError:
            pass
        assert service.lives()


def test_a_refused_body_that_comes_whole_costs_no_connection() -> None:
    with serving(replace(PATIENT, keep_alive_seconds=1)) as service, service.connect() as connection:
        connection.sendall(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        connection.sendall(bytes(10) + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).endswith(b"ok")
        # Idle, it is closed.
        connection.sendall(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        connection.sendall(bytes(10))
        assert rest(connection) == b""


def test_requests_may_come_before_their_turn() -> None:
    with serving(PATIENT) as service, service.connect() as connection:
        connection.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20
            + b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n"
        )
        assert rest(connection).count(b"\r\n\r\nok") == 21


def test_a_body_in_dust_is_refused() -> None:
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(PATIENT) as service:
        for chunk, count, answer in ((b"1\r\nx\r\n", 100_000, 400), (b"100\r\n" + bytes(256) + b"\r\n", 4000, 200)):
            with service.connect() as connection:
                try:
                    connection.sendall(head + chunk * count + b"0\r\n\r\n")
                except ConnectionError:
                    assert answer == 400
                    continue
                assert int(connection.recv(65536).split()[1]) == answer
        assert service.lives()


def test_a_body_that_breaks_off_into_nonsense_is_refused_once() -> None:
    with serving(PATIENT) as service, service.connect() as connection:
        connection.sendall(b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        until(lambda: len(service.server.server_state.tasks) == 1)
        connection.sendall(b"nonsense\r\n")
        assert problem(rest(connection)) == (400, "malformed")
        until(lambda: not service.server.server_state.tasks)


FEW_FILES = """
import asyncio, resource, sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
import uvicorn
from snap2caption.http.connections import Limits, configure
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))
app = Starlette(routes=[Route("/healthz", lambda _: PlainTextResponse("ok"))])
config = configure(app, Limits(1000, 1000, 900.0, 900, 900.0), host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
uvicorn.Server(config).run()
"""


def test_descriptors_do_not_run_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Of 956, what is no connection keeps 768.
    command = [sys.executable, "-c", FEW_FILES, str(port), "300", "956"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        ExitStack() as stack,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "956\n"

            def lives() -> bool:
                try:
                    return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=LONGEST, trust_env=False).is_success
                except httpx.TransportError:
                    return False

            until(lives)
            for _ in range(900):
                half = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=LONGEST))
                half.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            assert lives()
            assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 300
        finally:
            process.terminate()
        assert "188 connections at most, not 1000" in process.stderr.read()


def test_too_few_descriptors_are_one_sentence() -> None:
    command = [sys.executable, "-c", FEW_FILES, "9", "500", "500"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (
        "UserError: The process may open 500 files, and 1768 are needed; raise the limit (ulimit -n 1768)."
        in done.stderr
    )


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:1", "2001:db8::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_peer_is_an_address_or_a_network(host: str, network: str) -> None:
    assert network_of(host) == network
