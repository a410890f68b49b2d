"""Concurrency limit: a maximum number of requests in flight."""

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import ProblemError, refuse
from serving.paths import PROBES, route_path


class InFlightLimit:
    """Refuses requests while *limit* others are in flight.

    Probes don't count, so that monitoring is answered under load: the server accepts a few more connections than this.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or route_path(scope) in PROBES:
            await self.app(scope, receive, send)
            return
        if self._in_flight >= self.limit:
            detail = "Too many requests are in progress; try again in a few seconds."
            problem = ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_connections", detail, 10)
            await refuse(problem, scope, receive, send)
            return
        self._in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._in_flight -= 1
