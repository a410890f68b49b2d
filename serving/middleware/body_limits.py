"""Limits on request bodies: size, minimum rate and memory, enforced while the body streams in."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from textwrap import shorten

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.creators import ANONYMOUS
from serving.http.problems import ProblemError
from serving.middleware.body_budget import BodyBudget
from serving.middleware.content_coding import CODINGS, CodingError, Inflater
from serving.paths import route_path

SMALL = 64 * 1024
"""Largest body of a request without photos, in bytes. Such a body needs no room in the budget."""

_BUDGET_TIMEOUT = 5.0
"""Seconds that a body may wait for room in the budget."""


@dataclass(frozen=True, slots=True)
class MinimumRate:
    """How fast a body must arrive, like Apache's ``RequestReadTimeout``: *seconds*, and one more per *rate* bytes."""

    seconds: float
    """Seconds at the start; also the longest pause."""
    rate: float
    """Bytes per second."""
    max_seconds: float
    """Seconds for a whole body."""

    def allowed(self, received: int) -> float:
        """Return the seconds after which the body must be complete, or more than *received* bytes must have come."""
        return min(self.max_seconds, self.seconds + received / self.rate)


class BodyLimit:
    """Refuses request bodies that are too large or too slow, and bounds the memory of those in flight.

    A body with too large a declared length is refused before any of it is read, others as soon as they exceed the
    limit. A body with a content coding is decoded, and its decoded size counts. A body that no route reads is not
    refused: for a path that does not exist, 404 says more than 413 or 415.

    A body that is larger than `SMALL`, or does not declare its size, is read only when *budget* has room for it. It
    keeps that room until the request is answered.

    Args:
        app: the next ASGI application.
        paths: paths that accept photos.
        max_bytes: largest body for *paths*; for other paths it is `SMALL`.
        minimum_rate: how fast a body must arrive.
        budget: memory for the bodies in flight.
    """

    def __init__(
        self, app: ASGIApp, paths: Collection[str], max_bytes: int, minimum_rate: MinimumRate, budget: BodyBudget
    ) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self.max_bytes = max_bytes
        self.minimum_rate = minimum_rate
        self.budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.max_bytes if route_path(scope) in self.paths else min(SMALL, self.max_bytes)
        body = _IncomingBody(scope, receive, limit, self.minimum_rate, self.budget)
        try:
            await self.app(scope, body.receive, send)
        finally:
            body.release()


class _IncomingBody:
    """A request body that is being received."""

    def __init__(
        self, scope: Scope, receive: Receive, limit: int, minimum_rate: MinimumRate, budget: BodyBudget
    ) -> None:
        self._headers = Headers(scope=scope)
        self._receive = receive
        self._limit = limit
        self._minimum_rate = minimum_rate
        self._budget = budget
        creator = scope.get("state", {}).get("creator", ANONYMOUS)
        self._creator = None if creator == ANONYMOUS else creator
        self._inflater: Inflater | None = None
        self._started_at = 0.0
        self._received = self._decoded = self._reserved = 0
        self._complete = self._started = False

    async def receive(self) -> Message:
        """Return the next ASGI message, with the body decoded.

        Raises:
            ProblemError: the body is too large, too slow or not in its declared coding, the coding is not supported, or
                there is no room for the body.
        """
        if not self._started:
            await self._start()
        message = await self._next()
        if message["type"] != "http.request":
            self._complete = True
            return message
        chunk = message.get("body", b"")
        self._received += len(chunk)
        self._complete = not message.get("more_body", False)
        if self._inflater:
            chunk = self._inflate(chunk, self._inflater)
        self._decoded += len(chunk)
        if max(self._received, self._decoded) > self._limit:
            raise self._too_large()
        if self._complete:
            self._shrink_reservation(self._decoded)
        return {**message, "body": chunk}

    def release(self) -> None:
        """Give all reserved memory back to the budget."""
        self._shrink_reservation(0)

    def _shrink_reservation(self, size: int) -> None:
        if self._reserved > size:
            self._budget.release(self._creator, self._reserved - size)
            self._reserved = size

    async def _start(self) -> None:
        self._started = True
        length = self._headers.get("content-length", "0")
        if _exceeds(length, self._limit):
            raise self._too_large()
        self._inflater = _inflater(self._headers)
        # A body of unknown size may be as large as the limit.
        unknown = self._inflater or "transfer-encoding" in self._headers
        size = self._limit if unknown else int(length)
        if size > SMALL:
            try:
                await self._budget.acquire(self._creator, size, _BUDGET_TIMEOUT)
            except TimeoutError:
                detail = "Too many large requests are in progress; try again in a few seconds."
                raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "no_room", detail, 5) from None
            self._reserved = size
        self._started_at = asyncio.get_running_loop().time()

    async def _next(self) -> Message:
        now = asyncio.get_running_loop().time()
        deadline = min(now + self._minimum_rate.seconds, self._started_at + self._minimum_rate.allowed(self._received))
        try:
            async with asyncio.timeout_at(None if self._complete else deadline):
                return await self._receive()
        except TimeoutError:
            detail = "The request arrives too slowly; send a smaller photo, or use a faster connection."
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "slow_body", detail) from None

    def _inflate(self, chunk: bytes, inflater: Inflater) -> bytes:
        room = self._limit - self._decoded
        try:
            data = inflater.inflate(chunk, room)
        except CodingError:
            data = None
        if data is None or (self._complete and self._received and not inflater.complete and len(data) <= room):
            detail = "The body is not in the coding that Content-Encoding names; correct the body, or omit that header."
            raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed", detail)
        return data

    def _too_large(self) -> ProblemError:
        detail = f"The request is larger than {_size(self._limit)}; send a smaller photo, or less text."
        return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)


def _inflater(headers: Headers) -> Inflater | None:
    """Return the decoder of the body; None for a body without a content coding.

    Raises:
        ProblemError: the content coding is not supported.
    """
    coding = ", ".join(headers.getlist("content-encoding")).strip().lower()
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if not has_body or coding in {"", "identity"}:
        return None
    if coding in CODINGS:
        return Inflater()
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_encoding",
        f"The content coding {shorten(coding, 40, placeholder='…')!r} is not supported; "
        "send the body uncompressed, or with gzip or deflate.",
        headers={"Accept-Encoding": "gzip, deflate"},
    )


def _exceeds(length: str, limit: int) -> bool:
    """Return whether a Content-Length exceeds *limit*.

    The server refuses one that is not a number. The comparison is textual, because parsing a million digits takes long.
    """
    digits = length.lstrip("0")
    return length.isascii() and length.isdigit() and (len(digits), digits) > (len(str(limit)), str(limit))


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB"
