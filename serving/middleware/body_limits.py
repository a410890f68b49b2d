"""Request bodies: how large each may be, how fast it must arrive, how many are in memory; read without holding up the event loop."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from textwrap import shorten

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.creators import NOBODY
from serving.http.problems import ProblemError, refuse
from serving.middleware.body_budget import BodyBudget
from serving.middleware.content_coding import CODINGS, CodingError, Inflater
from serving.paths import route_path

SMALL = 64 * 1024
"""Bytes of a body that brings no photo. Such a one needs no room in the budget."""

_WAIT = 5.0
"""Seconds that a body may wait for room."""


@dataclass(frozen=True, slots=True)
class MinimumRate:
    """How fast a body must arrive: as Apache's ``RequestReadTimeout`` has it, some seconds and one more for each *rate* bytes that came."""

    seconds: float
    """At first; also how long a client may send nothing."""
    rate: float
    """Bytes a second."""
    most: float
    """Seconds for a whole body."""

    def allowed(self, received: int) -> float:
        """Return the seconds after which a body must be whole, or have more than *received* bytes."""
        return min(self.most, self.seconds + received / self.rate)


class BodyLimit:
    """Refuses a body of more bytes than its path may have: by its declared length before any of it is read, else as soon as it has grown too large.

    A body that nobody reads is not refused: for a path that does not exist, 404 tells more than 413.

    To *paths* photos are sent, of *largest* bytes with all that comes with them; bodies for others are `SMALL`. One that arrives slower than *pace*
    is refused too. What comes in a content coding is decoded, and counts as what it decodes to. What is larger than `SMALL`, or does not say how
    large it is, is read once *budget* has room for it, and keeps that until it is answered.
    """

    def __init__(
        self, app: ASGIApp, paths: Collection[str], largest: int, pace: MinimumRate, budget: BodyBudget
    ) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self.largest = largest
        self.pace = pace
        self.budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.largest if route_path(scope) in self.paths else min(SMALL, self.largest)
        try:
            body = _IncomingBody(scope, receive, limit, self.pace, self.budget)
        except ProblemError as problem:
            await refuse(problem, scope, receive, send)
            return
        try:
            await self.app(scope, body.receive, send)
        finally:
            body.leave()


class _IncomingBody:
    """A request's body on its way in."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, pace: MinimumRate, budget: BodyBudget) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._limit = limit
        self._pace = pace
        self._budget = budget
        creator = scope.get("state", {}).get("creator", NOBODY)
        self._creator = None if creator == NOBODY else creator
        self._inflater = _inflater(headers)
        self._started = asyncio.get_running_loop().time()
        self._arrived = self._read = self._room = 0
        self._whole = self._entered = False
        length = headers.get("content-length", "0")
        self._declares_more = _declares_more(length, limit)
        # What does not say how large it is may be as large as any.
        says = not self._inflater and not self._declares_more and "transfer-encoding" not in headers
        self._size = int(length) if says else limit

    async def receive(self) -> Message:
        """Return the next piece, decoded.

        Raises:
            ProblemError: it is too much, too slow, not what its coding says, or there is no room for it.
        """
        if not self._entered:
            await self._enter()
        message = await self._next()
        if message["type"] != "http.request":
            self._whole = True
            return message
        piece = message.get("body", b"")
        self._arrived += len(piece)
        self._whole = not message.get("more_body", False)
        if self._inflater:
            piece = self._inflate(piece, self._inflater)
        self._read += len(piece)
        if max(self._arrived, self._read) > self._limit:
            raise self._too_large()
        if self._whole:
            self._keep(self._read)
        return {**message, "body": piece}

    def leave(self) -> None:
        """Give back the room."""
        self._keep(0)

    def _keep(self, size: int) -> None:
        if self._room > size:
            self._budget.give_back(self._creator, self._room - size)
            self._room = size

    async def _enter(self) -> None:
        self._entered = True
        if self._declares_more:
            raise self._too_large()
        if self._size > SMALL:
            try:
                await self._budget.take(self._creator, self._size, _WAIT)
            except TimeoutError:
                detail = "Too many large requests are under way; try again in some seconds."
                raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "no_room", detail, 5) from None
            self._room = self._size
        self._started = asyncio.get_running_loop().time()

    async def _next(self) -> Message:
        now = asyncio.get_running_loop().time()
        end = min(now + self._pace.seconds, self._started + self._pace.allowed(self._arrived))
        try:
            async with asyncio.timeout_at(None if self._whole else end):
                return await self._receive()
        except TimeoutError:
            detail = "The request arrives too slowly; send a smaller photo, or over a better connection."
            raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "slow_body", detail) from None

    def _inflate(self, piece: bytes, inflater: Inflater) -> bytes:
        try:
            found = inflater.inflate(piece, self._limit - self._read)
        except CodingError:
            found = None
        if found is None or (
            self._whole and self._arrived and not inflater.complete and len(found) <= self._limit - self._read
        ):
            detail = "The body is not in the coding that Content-Encoding names; send it anew, or without that header."
            raise ProblemError(HTTPStatus.BAD_REQUEST, "malformed", detail)
        return found

    def _too_large(self) -> ProblemError:
        detail = f"The request is larger than {_size(self._limit)}; send less, or a smaller photo."
        return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", detail)


def _inflater(headers: Headers) -> Inflater | None:
    """Return what decodes the body; None where it comes as it is.

    Raises:
        ProblemError: it comes in a coding that is not decoded.
    """
    coding = ", ".join(headers.getlist("content-encoding")).strip().lower()
    comes = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if not comes or coding in {"", "identity"}:
        return None
    if coding in CODINGS:
        return Inflater()
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_encoding",
        f"The content coding {shorten(coding, 40, placeholder='…')!r} is not taken; send the body as it is, or in gzip or deflate.",
        headers={"Accept-Encoding": "gzip, deflate"},
    )


def _declares_more(length: str, limit: int) -> bool:
    """Whether a Content-Length is above *limit*. What is no number is left to the server; one of a million digits is not even read."""
    digits = length.lstrip("0")
    return length.isascii() and length.isdigit() and (len(digits), digits) > (len(str(limit)), str(limit))


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count >= 2**20 else f"{count // 2**10} KiB"
