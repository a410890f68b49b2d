"""Application factory: what the captioning service and the feedback service have in common."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from serving.http.api_docs import document
from serving.http.openapi import METRICS_ANSWERS, describe
from serving.middleware.stack import protect
from serving.paths import METRICS
from serving.settings import ServingSettings


def open_application(
    settings: ServingSettings,
    *,
    title: str,
    summary: str,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    photos: Collection[str],
    counted: Collection[str] = (),
) -> FastAPI:
    """Return an application without routes, behind the middleware stack.

    Args:
        settings: limits, keys and origins.
        title: of the API's description.
        summary: of the API's description.
        lifespan: starts and stops what the routes need.
        photos: paths that photos may be sent to.
        counted: paths whose requests are counted by status.
    """
    app = FastAPI(title=title, version="1", summary=summary, lifespan=lifespan, docs_url=None, redoc_url=None)
    protect(app, settings, photos=photos, counted=counted)
    return app


def complete_application(
    app: FastAPI,
    settings: ServingSettings,
    bodies: Sequence[type[BaseModel]],
    observe: Callable[[], None] = lambda: None,
) -> FastAPI:
    """Add the metrics and the documentation to *app*, whose other routes are there and refer to *bodies*; *observe* sets gauges before a scrape."""

    @app.get(METRICS, summary="For Prometheus", response_class=Response, responses=METRICS_ANSWERS)
    def metrics() -> Response:
        observe()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    document(app)
    describe(
        app,
        bodies,
        with_keys=settings.asks_for_keys,
        with_metrics_token=settings.asks_for_keys or settings.metrics_token_hash is not None,
    )
    return app
