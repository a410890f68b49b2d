"""ASGI middleware that keeps requests within limits: how many a key may send, how large a body is, how long it takes to arrive."""

import asyncio
import math
import time
from collections import Counter
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.paths import OPEN
from serving.problems import ProblemError, refuse


class KeyLimits:
    """Keeps each key to so many requests in a minute, and so many at once. It stands behind the guard, which names the creator.

    Answers tell what is left, in the header fields of the IETF's draft (RateLimit, RateLimit-Policy).
    """

    def __init__(self, app: ASGIApp, per_minute: int, at_once: int) -> None:
        self.app = app
        self.at_once = at_once
        self._rate = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._inside: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        creator = scope["state"]["creator"]
        if self._inside[creator] >= self.at_once:
            detail = f"This key has {self.at_once} requests under way already; wait for their answers."
            await refuse(
                ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too_many_at_once", detail, 1), scope, receive, send
            )
            return
        within = self._limiter.hit(self._rate, creator)
        window = self._limiter.get_window_stats(self._rate, creator)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        fields = {
            "RateLimit-Policy": f'"key";q={self._rate.amount};w={self._rate.get_expiry()}',
            "RateLimit": f'"key";r={window.remaining};t={wait}',
        }

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(fields)
            await send(message)

        if not within:
            detail = f"This key may send {self._rate.amount} requests a minute; wait for {wait} s."
            await refuse(ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit", detail, wait), scope, receive, told)
            return
        self._inside[creator] += 1
        try:
            await self.app(scope, receive, told)
        finally:
            self._inside[creator] -= 1
            self._inside += Counter()  # Forgets the keys with nothing under way.


class BodyLimit:
    """Refuses a body of more than *limit* bytes: by its declared length at once, else as soon as it has grown too large.

    One that takes more than *seconds* to arrive is refused too.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self.app = app
        self.limit = limit
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"The request is larger than {self.limit // 2**20} MiB; send a smaller photo.",
        )
        declared = Headers(scope=scope).get("content-length", "0")
        if _declares_more(declared, self.limit):
            await refuse(problem, scope, receive, send)
            return
        received = 0
        whole = False
        deadline = asyncio.get_running_loop().time() + self.seconds

        async def counted() -> Message:
            nonlocal received, whole
            try:
                async with asyncio.timeout_at(None if whole else deadline):
                    message = await receive()
            except TimeoutError:
                raise ProblemError(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "slow_body",
                    "The request took too long to arrive; send a smaller photo.",
                ) from None
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if received > self.limit:
                raise problem
            return message

        await self.app(scope, counted, send)


def _declares_more(length: str, limit: int) -> bool:
    """Whether a Content-Length is above *limit*. What is no number is left to the server; one of a million digits is not even read."""
    digits = length.lstrip("0")
    return length.isascii() and length.isdigit() and (len(digits), digits) > (len(str(limit)), str(limit))
