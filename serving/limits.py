"""ASGI middleware that keeps requests within limits: how many are under way, how large a body is, how long it takes to arrive."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from textwrap import shorten

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.content_coding import CODINGS, CodingError, Inflater
from serving.paths import PROBES, route_path
from serving.problems import ProblemError, refuse


class InFlightLimit:
    """Lets *most* requests be under way. Probes are beside that: there are a few more connections, and whoever watches the service is answered."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or route_path(scope) in PROBES:
            await self.app(scope, receive, send)
            return
        if self._inside >= self.most:
            detail = "Too many requests are under way; try again in some seconds."
            problem = ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_connections", detail, 10)
            await refuse(problem, scope, receive, send)
            return
        self._inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._inside -= 1


@dataclass(frozen=True, slots=True)
class Pace:
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
    """Refuses a body of more than *limit* bytes: by its declared length at once, else as soon as it has grown too large.

    One that arrives slower than *pace* is refused too. What comes in a content coding is decoded, and counts as what it decodes to.
    """

    def __init__(self, app: ASGIApp, limit: int, pace: Pace) -> None:
        self.app = app
        self.limit = limit
        self.pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = _Body(Headers(scope=scope), receive, self.limit, self.pace)
        except ProblemError as problem:
            await refuse(problem, scope, receive, send)
            return
        await self.app(scope, body.receive, send)


class _Body:
    """A request's body on its way in."""

    def __init__(self, headers: Headers, receive: Receive, limit: int, pace: Pace) -> None:
        self._receive = receive
        self._limit = limit
        self._pace = pace
        self._inflater = _inflater(headers)
        self._started = asyncio.get_running_loop().time()
        self._arrived = self._read = 0
        self._whole = False
        if _declares_more(headers.get("content-length", "0"), limit):
            raise self._too_large()

    async def receive(self) -> Message:
        """Return the next piece, decoded.

        Raises:
            ProblemError: it is too much, too slow, or not what its coding says.
        """
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
        return {**message, "body": piece}

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
        detail = f"The request is larger than {self._limit // 2**20} MiB; send a smaller photo."
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
