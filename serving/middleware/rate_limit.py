"""Rate limits per creator: captions per minute over all replicas, weighted by cost, and requests in flight."""

import logging
import math
import time
from collections import Counter
from functools import partial
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.creators import ANONYMOUS
from serving.http.problems import ProblemError, refuse, state_away
from serving.middleware.limiter import Limiter
from serving.paths import OPEN, route_path
from serving.state.database import StateError

logger = logging.getLogger(__name__)


class RateLimit:
    """Limits each creator to *per_minute* captions and *max_in_flight* requests. It runs after authentication.

    A request is admitted at the cost of one caption. Any further cost is charged once its body is read, by `charge`.
    Responses report what is left, in the header fields of the IETF draft (RateLimit, RateLimit-Policy).
    """

    def __init__(self, app: ASGIApp, limiter: Limiter, per_minute: int, max_in_flight: int) -> None:
        self.app = app
        self.max_in_flight = max_in_flight
        self._rate = RateLimitItemPerMinute(per_minute)
        self._limiter = limiter
        self._in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        # Without API keys, all requests share one id, so there are no creators to limit.
        if scope["type"] != "http" or route_path(scope) in OPEN or scope["state"]["creator"] == ANONYMOUS:
            await self.app(scope, receive, send)
            return
        creator = scope["state"]["creator"]
        if self._in_flight[creator] >= self.max_in_flight:
            detail = f"You already have {self.max_in_flight} requests in progress; wait for their answers."
            problem = ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too_many_at_once", detail, 1)
            await refuse(problem, scope, receive, send)
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(await self._fields(creator))
            await send(message)

        # Counted before anything is awaited, so that requests that arrive together can't pass the check together.
        self._in_flight[creator] += 1
        try:
            try:
                await self._hit(creator, 1)
            except ProblemError as problem:
                await refuse(problem, scope, receive, send_with_limits)
                return
            scope["state"]["charge"] = partial(self._charge, creator)
            await self.app(scope, receive, send_with_limits)
        finally:
            self._in_flight[creator] -= 1
            self._in_flight += Counter()  # Drops creators without requests in flight.

    async def _charge(self, creator: str, captions: int) -> None:
        """Charge the cost of a request beyond the one caption that it was admitted for.

        No request costs more than the limit of a minute: otherwise it could never be admitted.
        """
        rest = min(captions, self._rate.amount) - 1
        if rest > 0:
            await self._hit(creator, rest)

    async def _hit(self, creator: str, cost: int) -> None:
        try:
            if await self._limiter.hit(self._rate, creator, cost):
                return
            wait = (await self._remaining(creator))[1]
        except StateError as error:
            raise state_away(error) from error
        limit = self._rate.amount
        detail = f"The limit is {limit} captions per minute; try again in {wait} s, or request fewer captions."
        raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "rate_limit", detail, wait)

    async def _remaining(self, creator: str) -> tuple[int, int]:
        """Return the remaining captions, and the seconds until there are more."""
        window = await self._limiter.stats(self._rate, creator)
        return window.remaining, max(1, math.ceil(window.reset_time - time.time()))

    async def _fields(self, creator: str) -> dict[str, str]:
        fields = {"RateLimit-Policy": f'"key";q={self._rate.amount};w={self._rate.get_expiry()}'}
        try:
            remaining, wait = await self._remaining(creator)
        except StateError as error:
            # The answer counts more than what it says about the rate.
            logger.warning("%s", error)
            return fields
        return fields | {"RateLimit": f'"key";r={remaining};t={wait}'}


async def charge(request: Request, captions: int) -> None:
    """Charge the creator of *request* for *captions*. Without rate limits, this does nothing.

    Raises:
        ProblemError: that exceeds their rate limit.
    """
    if hasattr(request.state, "charge"):
        await request.state.charge(captions)
