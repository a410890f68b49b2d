"""Connection limits of an HTTP server: number of connections, size of a request's head, timeouts for each side.

uvicorn has none of these limits with httptools. With h11 it limits the size of a head, which is why h11 parses here.
"""

import asyncio
import ipaddress
import json
import logging
import resource
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from snap2caption.errors import UserError

logger = logging.getLogger(__name__)

LARGEST_HEAD = 16 * 1024
"""The most bytes in a request's line and header fields together, by h11's count."""

BACKLOG = 512
"""Connections that may wait to be accepted. All of them may be accepted before the first is processed.

Of more than may wait while the event loop is busy, the system resets some after a quarter of a minute, and their
clients are never told to come back later.
"""

_SPARE_DESCRIPTORS = 256
"""Descriptors for everything that is not a connection: files, stores, the registry, isolated decoders of photos."""

_LINGER = 5.0
"""Seconds to read the rest of a refused body. If the connection closed at once, the client would not read the reason.
"""

_TINY, _MANY = 64, 1000
"""A body with more than `_MANY` chunks of less than `_TINY` bytes on average costs more to read than it is worth."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server. Times are in seconds of the event loop's clock."""

    connections: int
    """At once; one more takes the place of the one that has waited longest for a request."""
    per_peer: int
    """The most connections from one address."""
    head_seconds: float
    """For a request's line and header fields, from the first byte on; of a new connection, from its beginning."""
    keep_alive_seconds: int
    """From an answer to the next request."""
    write_seconds: float
    """For a client to read some of what waits for it (48 KiB, or the end)."""


_NETWORK = 64
"""The bits of an IPv6 prefix that belongs to one household or server."""


def network_of(host: str) -> str:
    """Return the network that a peer belongs to.

    An IPv4 address stays as it is. An IPv6 address becomes its /64 network, since a host there has many addresses.
    Text that is not an address stays as it is.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((int(address), _NETWORK), strict=False))


def configure(app: Any, limits: Limits, **more: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for *app* with connections within *limits*.

    It also raises the process's limit of file descriptors as far as needed.

    Raises:
        UserError: the process may not have enough file descriptors.
    """
    register = Register(_within_descriptors(limits.connections), limits.per_peer)
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(Connection, limits=limits, register=register)),
        ws="none",
        backlog=BACKLOG,
        h11_max_incomplete_event_size=LARGEST_HEAD,
        timeout_keep_alive=limits.keep_alive_seconds,
        **more,
    )


def _within_descriptors(connections: int) -> int:
    """Raise the limit of file descriptors for *connections* connections; return how many connections are possible.

    Raises:
        UserError: none are possible.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + BACKLOG + _SPARE_DESCRIPTORS
    if resource.RLIM_INFINITY in {soft, hard}:
        hard = max(needed, soft)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    possible = connections if soft == resource.RLIM_INFINITY else min(connections, soft - needed + connections)
    if possible < 1:
        raise UserError(
            f"The process may open {soft} files, and {needed} are needed; raise the limit (ulimit -n {needed})."
        )
    if possible < connections:
        logger.warning("the process may open %d files: %d connections at most, not %d", soft, possible, connections)
    return possible


@dataclass(slots=True)
class _Peer:
    """The connections of one address."""

    count: int = 0
    waiting: "dict[Connection, None]" = field(default_factory=dict)


class Register:
    """The open connections of one server.

    When it is full, the connection that has been idle longest is closed for a new one.
    """

    def __init__(self, most: int, per_peer: int) -> None:
        self._most = most
        self._per_peer = per_peer
        self._all: dict[Connection, str] = {}
        self._waiting: dict[Connection, None] = {}
        self._peers: defaultdict[str, _Peer] = defaultdict(_Peer)

    def admit(self, connection: "Connection", peer: str) -> bool:
        """Admit *connection*, which waits for its first request.

        Return False if every open connection is busy with a request.
        """
        known = self._peers[peer]
        if known.count >= self._per_peer:
            self._evict(known.waiting)
        if len(self._all) >= self._most:
            self._evict(self._waiting)
        if known.count >= self._per_peer or len(self._all) >= self._most:
            return False
        self._all[connection] = peer
        known.count += 1
        self.waits(connection)
        return True

    def waits(self, connection: "Connection") -> None:
        """Mark *connection* as idle from now on."""
        if connection in self._all:
            for waiting in (self._waiting, self._peers[self._all[connection]].waiting):
                waiting.setdefault(connection)

    def answers(self, connection: "Connection") -> None:
        """Mark *connection* as busy with a request."""
        if connection in self._all:
            for waiting in (self._waiting, self._peers[self._all[connection]].waiting):
                waiting.pop(connection, None)

    def leave(self, connection: "Connection") -> None:
        """Free the place of *connection*."""
        self.answers(connection)
        peer = self._all.pop(connection, None)
        if peer is None:
            return
        self._peers[peer].count -= 1
        if not self._peers[peer].count:
            del self._peers[peer]

    def _evict(self, waiting: "dict[Connection, None]") -> None:
        for connection in waiting:
            self.leave(connection)
            connection.transport.abort()
            return


class _Parser(h11.Connection):
    """h11's parser, which remembers why it refused a request, and refuses two more kinds.

    The first kind has both a length and chunks: a proxy may believe the other one, and read the end of one request
    as the start of the next (request smuggling; RFC 9112, 6.1). The second kind is a body in very many very small
    chunks: each costs as much as a large one.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, LARGEST_HEAD)
        self.refused_as = HTTPStatus.BAD_REQUEST
        self._chunks = self._bytes = 0

    def next_event(self) -> Any:
        """Return the next event."""
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.refused_as = HTTPStatus(error.error_status_hint)
            raise
        if isinstance(event, h11.Request):
            self._chunks = self._bytes = 0
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in event.headers}:
                raise h11.RemoteProtocolError("a length beside chunks")
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._bytes += len(event.data)
            if self._chunks > _MANY and self._bytes < _TINY * self._chunks:
                raise h11.RemoteProtocolError("the chunks are too small")
        return event


class Connection(H11Protocol):
    """The connection of one client: uvicorn's own, within *limits*."""

    def __init__(self, *arguments: Any, limits: Limits, register: Register, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.conn: _Parser = _Parser()
        self._limits = limits
        self._register = register
        self._deadline: asyncio.TimerHandle | None = None
        self._waits_for = ""
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, if there is a place for it."""
        super().connection_made(transport)
        if self._register.admit(self, network_of(self.client[0]) if self.client else ""):
            self._wait_for("head", self._limits.head_seconds)
        else:
            self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "too_many_connections",
                "Too many connections are open; try again in some seconds.",
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self._register.leave(self)
        for timer in (self._deadline, self._writing):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Process received bytes, and set the timeout for what comes next."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._look()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Wait for the client to read, within the timeout."""
        super().pause_writing()
        self._writing = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue to write, since the client reads again."""
        if self._writing:
            self._writing.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's, which says no more
        """Refuse a request that is malformed or exceeds a limit."""
        if self._is_answering():
            # The body is malformed. The application sees a disconnected client, because this refusal is the response.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.refused_as is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            detail = (
                f"The request's line and header fields are longer than {LARGEST_HEAD // 1024} KiB together; "
                "send shorter ones."
            )
            self._refuse(self.conn.refused_as, "head_too_large", detail)
        else:
            self._refuse(
                HTTPStatus.BAD_REQUEST,
                "malformed",
                "The request is no HTTP/1.1 that is taken here; check what sends it.",
            )

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Find out what this connection waits for, and set the timeout for it."""
        if self.transport.is_closing():
            self._wait_for("end", self._limits.write_seconds)
        elif self._is_answering():
            self._wait_for("", None)
        elif self.conn.their_state is h11.SEND_BODY:
            self._wait_for("body", _LINGER)
        elif self._waits_for == "head" or self.conn.trailing_data[0]:
            self._wait_for("head", self._limits.head_seconds)
        else:
            self._wait_for("request", self._limits.keep_alive_seconds)

    def _wait_for(self, what: str, seconds: float | None) -> None:
        """Start the timeout of *seconds* for *what*, unless it runs already."""
        if what == self._waits_for:
            return
        self._waits_for = what
        if self._deadline:
            self._deadline.cancel()
        if seconds is None:
            self._register.answers(self)
        else:
            self._register.waits(self)
            self._deadline = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self._waits_for == "head" and self.conn.trailing_data[0]:
            self._refuse(
                HTTPStatus.REQUEST_TIMEOUT,
                "slow_head",
                "The request's header fields come too slowly; send them at once.",
            )
        elif self.transport.is_closing() or self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, reason: str, detail: str) -> None:
        """Answer with a problem body (RFC 9457), unless a response has begun, and close the connection."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail, "reason": reason}
            fields = [("Content-Type", "application/problem+json"), ("Connection", "close")]
            if status is HTTPStatus.SERVICE_UNAVAILABLE:
                fields.append(("Retry-After", "10"))
            for event in (
                h11.Response(status_code=status, headers=fields, reason=status.phrase),
                h11.Data(data=json.dumps(body).encode()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._look()
