"""URL paths: the service's routes, those that need no key, and the path of a request."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

CAPTIONS = ("/generate-caption", "/generate_caption", "/v1/generate-caption")
FEEDBACK = ("/v1/feedback", "/feedback", "/store_feedback")
"""These paths accept photos. In each tuple, the first path is the documented one; the others are aliases."""

PROBES = frozenset({"/healthz", "/readyz"})
DOCS_PAGE, START = "/docs", "/docs/start.js"
SWAGGER = ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
DOCS = frozenset({DOCS_PAGE, "/openapi.json", START, *SWAGGER})
METRICS = "/metrics"
PAGE, ASSETS = "/", "/assets/"
PAGE_FOLDERS = (ASSETS, "/static/")
"""The web page and the folders of its files. What is in `ASSETS` has a hash in its name."""

OPEN = PROBES | DOCS | {METRICS}
"""Paths that need no API key and don't count against a rate limit. The metrics have a token of their own."""

FIRST_SEGMENTS = frozenset(path.split("/")[1] for path in (*CAPTIONS, *FEEDBACK, *OPEN, *PAGE_FOLDERS))
"""First segments of the service's paths."""


def route_path(scope: "Scope") -> str:
    """Return the requested path without the prefix.

    This is the function that Starlette's router uses, so middleware and routes can't disagree on the path.
    """
    # Imported here, because every command reads the settings, which need the paths, with or without a server installed.
    from starlette._utils import get_route_path

    return get_route_path(scope)


_MAX_SHOWN = 200


def shown_path(scope: "Scope") -> str:
    """Return the requested path for a log, shortened: a client may send one of many kilobytes."""
    path: str = scope["path"]
    return path if len(path) <= _MAX_SHOWN else f"{path[:_MAX_SHOWN]}…"
