"""Middleware stack of both applications: request context, CORS, authentication, rate limits and body limits."""

from collections.abc import Collection
from pathlib import Path

from fastapi import FastAPI

from serving.http.openapi import KEY_HEADER
from serving.http.problems import add_handlers
from serving.keys.keyring import open_keyring
from serving.middleware.authentication import KeyAuthentication
from serving.middleware.body_budget import BodyBudget
from serving.middleware.body_limits import BodyLimit, MinimumRate
from serving.middleware.cors import ProblemCORS
from serving.middleware.cross_site import CrossSiteGuard
from serving.middleware.head import HeadAsGet
from serving.middleware.in_flight import InFlightLimit
from serving.middleware.limiter import open_limiter
from serving.middleware.lockout import Lockout
from serving.middleware.rate_limit import RateLimit
from serving.middleware.request_context import RequestContext
from serving.middleware.root_path import PathPrefix
from serving.page.files import WebPage
from serving.settings import ServingSettings


def protect(
    app: FastAPI,
    settings: ServingSettings,
    *,
    photos: Collection[str],
    counted: Collection[str] = (),
    page: Path | None = None,
) -> None:
    """Add the middleware stack to *app*, so that every refusal has a problem body.

    Args:
        app: an application without middleware.
        settings: limits, keys and origins.
        photos: paths that accept photos.
        counted: paths whose requests are counted by status.
        page: folder of the built web page; None: no page.
    """
    # A request passes the middleware in reverse order: the last one added comes first.
    minimum_rate = MinimumRate(settings.read_seconds, settings.read_rate, settings.read_seconds_in_all)
    share = max(settings.body_bytes_at_once // 2, settings.max_body_bytes)
    app.add_middleware(
        BodyLimit,
        paths=photos,
        max_bytes=settings.max_body_bytes,
        minimum_rate=minimum_rate,
        budget=BodyBudget(settings.body_bytes_at_once, share),
    )
    limiter = open_limiter(settings)
    app.add_middleware(
        RateLimit,
        limiter=limiter,
        per_minute=settings.requests_per_minute,
        max_in_flight=settings.requests_at_once,
    )
    app.add_middleware(
        KeyAuthentication,
        keyring=open_keyring(settings),
        metrics_token_hash=settings.metrics_token_hash,
        lockout=Lockout(limiter, settings.failed_keys_per_minute),
    )
    app.add_middleware(
        ProblemCORS,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["Content-Type", "Content-Encoding", KEY_HEADER, "Idempotency-Key"],
        expose_headers=["X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"],
    )
    if page:
        app.add_middleware(WebPage, folder=page)
    if not settings.requires_keys:
        app.add_middleware(CrossSiteGuard, hosts=settings.allowed_hosts, origins=settings.cors_origins)
    app.add_middleware(InFlightLimit, limit=settings.connections - settings.connections // 10)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestContext, counted=counted)
    if settings.root_path:
        app.add_middleware(PathPrefix, prefix=settings.root_path)
    add_handlers(app)
