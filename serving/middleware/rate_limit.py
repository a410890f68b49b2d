"""ASGI middleware that keeps each creator within limits: what they may ask for in a minute, by what it costs, and how many requests at once."""

import math
import time
from collections import Counter
from functools import partial
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.creators import NOBODY
from serving.http.problems import ProblemError, refuse
from serving.paths import OPEN, route_path


class RateLimit:
    """Keeps each creator to *per_minute* captions, and *at_once* requests. It stands behind the guard, which names the creator.

    A request is let in for the price of one caption; what more it turns out to cost is charged once its body is read: `charge`.
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
        # Without keys there is nobody to be kept apart from others.
        if scope["type"] != "http" or route_path(scope) in OPEN or scope["state"]["creator"] == NOBODY:
            await self.app(scope, receive, send)
            return
        creator = scope["state"]["creator"]
        if self._inside[creator] >= self.at_once:
            detail = f"You have {self.at_once} requests under way already; wait for their answers."
            problem = ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too_many_at_once", detail, 1)
            await refuse(problem, scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._fields(creator))
            await send(message)

        try:
            self._hit(creator, 1)
        except ProblemError as problem:
            await refuse(problem, scope, receive, told)
            return
        scope["state"]["charge"] = partial(self._charge, creator)
        self._inside[creator] += 1
        try:
            await self.app(scope, receive, told)
        finally:
            self._inside[creator] -= 1
            self._inside += Counter()  # Forgets those with nothing under way.

    def _charge(self, creator: str, captions: int) -> None:
        """Charge for what a request costs beyond the one caption that it was let in for. None costs more than a whole minute's."""
        more = min(captions, self._rate.amount) - 1
        if more > 0:
            self._hit(creator, more)

    def _hit(self, creator: str, cost: int) -> None:
        if not self._limiter.hit(self._rate, creator, cost=cost):
            wait = self._left(creator)[1]
            detail = f"You may ask for {self._rate.amount} captions a minute; wait for {wait} s, or ask for fewer."
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit", detail, wait)

    def _left(self, creator: str) -> tuple[int, int]:
        """Return what may still be asked for, and the seconds until there is more."""
        window = self._limiter.get_window_stats(self._rate, creator)
        return window.remaining, max(1, math.ceil(window.reset_time - time.time()))

    def _fields(self, creator: str) -> dict[str, str]:
        remaining, wait = self._left(creator)
        return {
            "RateLimit-Policy": f'"key";q={self._rate.amount};w={self._rate.get_expiry()}',
            "RateLimit": f'"key";r={remaining};t={wait}',
        }


def charge(request: Request, captions: int) -> None:
    """Charge the creator of *request* for so many captions.

    Raises:
        ProblemError: that is more than is left to them.
    """
    if hasattr(request.state, "charge"):
        request.state.charge(captions)
