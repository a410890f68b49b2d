"""Protection against cross-site requests and DNS rebinding, for a service without API keys."""

import ipaddress
import re
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.http.problems import ProblemError, refuse
from serving.paths import DOCS, PAGE, route_path
from serving.settings import as_origin

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(?::[0-9]{1,5})?")

_LINKED = DOCS | {"", PAGE}
"""Paths that pages of other origins may link to, with or without the slash after a path prefix."""

_OURS = frozenset({"same-origin", "none"})
"""``Sec-Fetch-Site`` of requests from our own pages, and of URLs that the user entered."""


class CrossSiteGuard:
    """Refuses requests that a web page of another origin makes a browser send, before the body is read.

    Without API keys, nothing else distinguishes a creator from a page that is open in their browser. Programs other
    than browsers send neither ``Origin`` nor Fetch Metadata, and pass.

    Args:
        app: the next ASGI application.
        hosts: accepted values of ``Host``, in addition to loopback names and the address that the request came in at.
            One with a port is valid at that port only. A name that an attacker's DNS points here is not among them.
        origins: accepted values of ``Origin``, in addition to the service's own. If a browser sends no ``Origin``, its
            Fetch Metadata must name the same origin. All values are compared as a whole.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], origins: Collection[str]) -> None:
        self.app = app
        self.hosts = frozenset(hosts)
        self.origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ProblemError as problem:
                await refuse(problem, scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or not self._is_known(hosts[0], scope):
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "foreign_host",
                "Without API keys the service answers to loopback names only; "
                "use 127.0.0.1, or add the name to SNAP2CAPTION_SERVING_ALLOWED_HOSTS.",
            )
        origins = headers.getlist("origin")
        known = {*self.origins, as_origin(scope["scheme"], hosts[0])}
        if len(origins) != 1 or origins[0] not in known if origins else _is_cross_site(headers, scope):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "foreign_origin",
                "Without API keys the service refuses requests from pages of other origins; "
                "add the page's origin to SNAP2CAPTION_SERVING_CORS_ORIGINS.",
            )

    def _is_known(self, host: str, scope: Scope) -> bool:
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found["name"].strip("[]")
        return _is_loopback(name) or not self.hosts.isdisjoint({host, found["name"]}) or name == _address(scope)


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _address(scope: Scope) -> str | None:
    """Return the address that the request came in at. It is the server's own, so the client can't choose it."""
    server = scope.get("server")
    return str(server[0]).lower() if server else None


def _is_cross_site(headers: Headers, scope: Scope) -> bool:
    """Return whether a browser that sends no ``Origin`` reports a cross-site request.

    Links to the web page and to the API documentation are harmless, so they don't count.
    """
    if headers.get("sec-fetch-site", "none") in _OURS:
        return False
    follows_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return not (follows_link and route_path(scope) in _LINKED)
