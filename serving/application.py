"""Application factory shared by the captioning service and the feedback service."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

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
    page: Path | None = None,
) -> FastAPI:
    """Return an application without routes, behind the middleware stack.

    Args:
        settings: limits, keys and origins.
        title: title of the OpenAPI document.
        summary: summary of the OpenAPI document.
        lifespan: starts and stops what the routes need.
        photos: paths that accept photos.
        counted: paths whose requests are counted by status.
        page: folder of the built web page; None: no page.
    """
    app = FastAPI(title=title, version="1", summary=summary, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.has_page = page is not None and (page / "index.html").exists()
    protect(app, settings, photos=photos, counted=counted, page=page)
    return app


def complete_application(
    app: FastAPI,
    settings: ServingSettings,
    bodies: Sequence[type[BaseModel]],
    observe: Callable[[], None] = lambda: None,
    note: Callable[[], str] = lambda: "",
) -> FastAPI:
    """Add the metrics route and the API documentation to *app*, and return it.

    Args:
        app: an application that has all its other routes.
        settings: limits, keys and origins.
        bodies: models that the routes' request bodies refer to.
        observe: sets gauges before each scrape.
        note: returns what the API documentation says above the operations; empty: nothing.
    """

    @app.get(METRICS, summary="Prometheus metrics", response_class=Response, responses=METRICS_ANSWERS)
    def metrics() -> Response:
        observe()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    document(app, note)
    describe(
        app,
        bodies,
        with_keys=settings.requires_keys,
        with_metrics_token=settings.requires_keys or settings.metrics_token_hash is not None,
    )
    return app
