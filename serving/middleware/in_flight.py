"""ASGI middleware that bounds how many requests are under way."""

from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import ProblemError, refuse
from serving.paths import PROBES, route_path


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
