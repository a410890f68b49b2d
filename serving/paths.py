"""The paths that need no key, and what a request's path is."""

from starlette._utils import get_route_path
from starlette.types import Scope

PROBES = frozenset({"/healthz", "/readyz"})
DOCS_PAGE, START = "/docs", "/docs/start.js"
SWAGGER = ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
DOCS = frozenset({DOCS_PAGE, "/openapi.json", START, *SWAGGER})
METRICS = "/metrics"
OPEN = PROBES | DOCS | {METRICS}
"""Needs no key, and is not counted against one."""


def route_path(scope: Scope) -> str:
    """Return the path that was asked for, without the prefix: by the function that the routes are found by, so that no guard reads it otherwise."""
    return get_route_path(scope)
