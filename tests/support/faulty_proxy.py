"""What goes wrong between a client and a server: a proxy that cuts connections, answers in the server's place, or
spoils a byte.
"""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.patience import LONGEST

_BLOCK = 1 << 16


@dataclass
class Fault:
    """What happens to the next *times* requests that *when* picks by method and path."""

    when: Callable[[str, str], bool] = lambda method, path: method == "PUT"  # noqa: ARG005
    times: int = 1
    answer: str = ""
    """A status line's end, ``503 Service Unavailable``, and headers, given once the body has been read."""
    cut_at: int | None = None
    """Bytes of the body after which the connection is reset."""
    cut_answer_at: int | None = None
    """Bytes of the answer after which the connection is reset."""
    spoil: bool = False
    """Change the last byte of the body."""
    leave: bool = False
    """Refuse every connection from then on."""
    hang: bool = False
    """Take the request, and say nothing until the server is away."""


@dataclass
class FaultyProxy:
    """Passes HTTP on to *port* on loopback, one request a connection. Entered: `address` is where it listens."""

    port: int
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of what reached the server whole."""
    hanging: list[tuple[str, str]] = field(default_factory=list)
    """Of what got no answer."""

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        for thread in self._threads:
            thread.join()

    def leave(self) -> None:
        """From now on, refuse connections: the server is away for good."""
        self._left.set()
        # Wakes the thread that waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), ExitStack() as stack:
            client.settimeout(LONGEST)
            head, body = _read_head(client)
            if not head:
                return
            method, path = head.split(b" ", 2)[:2]
            fault = self._pick(method.decode(), path.decode()) or Fault()
            match = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            length = int(match[1]) if match else 0
            if fault.leave:
                self.leave()
            if fault.hang:
                self.hanging.append((method.decode(), path.decode()))
                self._left.wait(LONGEST)
                return
            if fault.answer:
                _continue(client, head)
                _skip(client, length - len(body))
                client.sendall(f"HTTP/1.1 {fault.answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST))
            server.sendall(re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head[:-4]) + b"\r\nConnection: close\r\n\r\n")
            answers = self._start(_pump, server, client, fault.cut_answer_at)
            whole = _send_body(client, server, body, length, fault)
            if whole:
                self.requests.append((method.decode(), path.decode()))
            else:
                _reset(client)
                _reset(server)
            answers.join()

    def _pick(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times and fault.when(method, path):
                    fault.times -= 1
                    return fault
        return None


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(_BLOCK)
        if not more:
            return b"", b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


def _continue(client: socket.socket, head: bytes) -> None:
    if re.search(rb"(?i)\r\nexpect: *100-continue", head):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def _skip(client: socket.socket, left: int) -> None:
    while left > 0:
        left -= len(client.recv(min(left, _BLOCK))) or left


def _send_body(client: socket.socket, server: socket.socket, body: bytes, length: int, fault: Fault) -> bool:
    """Pass the body on; return whether all of it went."""
    sent = 0
    while True:
        if fault.cut_at is not None and sent + len(body) >= fault.cut_at:
            server.sendall(body[: fault.cut_at - sent])
            return False
        if fault.spoil and body and sent + len(body) == length:
            body = body[:-1] + bytes([body[-1] ^ 1])
        server.sendall(body)
        sent += len(body)
        if sent >= length:
            return True
        body = client.recv(min(length - sent, _BLOCK))
        if not body:
            return False


def _pump(server: socket.socket, client: socket.socket, limit: int | None) -> None:
    passed = 0
    with suppress(OSError):
        while data := server.recv(_BLOCK):
            client.sendall(data)
            passed += len(data)
            if limit is not None and passed >= limit:
                _reset(client)
                return
        client.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    """Close at once, without saying goodbye."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.shutdown(socket.SHUT_RDWR)
