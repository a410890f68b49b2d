"""What stands before the routes of every application of ours: ids and headers, origins, keys, rates, the size and speed of bodies."""

from collections.abc import Collection

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from serving.access import KEY_HEADER, KeyGuard
from serving.cross_site import CrossSiteGuard
from serving.envelope import Envelope
from serving.limits import BodyLimit, KeyLimits
from serving.problems import add_handlers
from serving.settings import ServingSettings


def protect(app: FastAPI, settings: ServingSettings, *, counted: Collection[str] = ()) -> None:
    """Let nothing reach *app*'s routes but what *settings* allow, and answer every refusal with a problem body.

    Requests to the paths in *counted* are counted by status.
    """
    # The last one added is the first that a request meets.
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, seconds=settings.read_seconds)
    if settings.api_key_hashes:
        app.add_middleware(KeyLimits, per_minute=settings.requests_per_minute, at_once=settings.requests_at_once)
    app.add_middleware(KeyGuard, key_hashes=settings.api_key_hashes, metrics_token_hash=settings.metrics_token_hash)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Content-Type", KEY_HEADER, "Idempotency-Key"],
        expose_headers=["X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"],
    )
    if not settings.api_key_hashes:
        app.add_middleware(CrossSiteGuard, hosts=settings.allowed_hosts, origins=settings.cors_origins)
    app.add_middleware(Envelope, counted=counted)
    add_handlers(app)
