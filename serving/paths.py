"""The service's paths, those of them that need no key, and what a request's path is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

CAPTIONS = ("/generate-caption", "/generate_caption", "/v1/generate-caption")
FEEDBACK = ("/v1/feedback", "/feedback", "/store_feedback")
"""Photos may be sent to these. Of each, the first is the one that is described, and the others are aliases."""

PROBES = frozenset({"/healthz", "/readyz"})
DOCS_PAGE, START = "/docs", "/docs/start.js"
SWAGGER = ("/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css")
DOCS = frozenset({DOCS_PAGE, "/openapi.json", START, *SWAGGER})
METRICS = "/metrics"
OPEN = PROBES | DOCS | {METRICS}
"""Needs no key, and is not counted against one. The metrics have a token of their own."""

FIRST_SEGMENTS = frozenset(path.split("/")[1] for path in (*CAPTIONS, *FEEDBACK, *OPEN))
"""What a path of the service begins with."""


def route_path(scope: "Scope") -> str:
    """Return the path that was asked for, without the prefix: by the function that the routes are found by, so that no guard reads it otherwise."""
    # Not at the top: the settings need the paths, and every command reads the settings, with or without a server installed.
    from starlette._utils import get_route_path

    return get_route_path(scope)


_LONGEST = 200


def shown_path(scope: "Scope") -> str:
    """Return the path that was asked for, as a log repeats it: a stranger may ask for one of many kilobytes."""
    path: str = scope["path"]
    return path if len(path) <= _LONGEST else f"{path[:_LONGEST]}…"
