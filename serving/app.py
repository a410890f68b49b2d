"""The service: a photo in, a caption with hashtags out."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.middleware.cors import CORSMiddleware

from serving.access import KEY_HEADER, KeyGuard
from serving.batching import Batcher
from serving.captioner import Captioner, no_model
from serving.envelope import Envelope
from serving.intake import BODY, read_request
from serving.limits import BodyLimit, KeyLimits
from serving.models import Models, Served
from serving.openapi import describe, problems
from serving.paths import METRICS
from serving.problems import add_handlers
from serving.schemas import CaptionAnswer, Readiness
from serving.settings import ServingSettings
from serving.streaming import stream
from serving.tracing import trace
from snap2caption.registry import Registry
from snap2caption.settings import Settings

_PROBLEMS = problems((400, 401, 408, 413, 415, 422, 429, 503, 504))
_ROUTES = ("/generate-caption", "/generate_caption", "/v1/generate-caption")

_CLIENT_LEFT = 499
"""For the log and the metrics only: nobody is there to read the answer."""


def create_app(settings: ServingSettings) -> FastAPI:
    """Return the service over the registry's champion."""
    shared = Settings()
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    models = Models(
        Registry(shared.mlflow_tracking_uri, shared.registered_model),
        shared.models_dir,
        settings.cache_dir,
        poll_seconds=settings.poll_seconds,
        dtype=settings.dtype,
        threads=settings.threads,
    )
    return build_app(settings, models.current, models)


def build_app(settings: ServingSettings, current: Callable[[], Served | None], models: Models | None = None) -> FastAPI:
    """Return the service over the model that *current* names; *models*, if given, is started and stopped with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A whole batch may arrive before the first of it is taken: the queue holds all who were let in.
        batcher = Batcher(
            lambda _: current(),
            max_batch=settings.max_batch,
            queue_size=settings.capacity,
            deadline=settings.deadline_seconds,
        )
        app.state.captioner = Captioner(batcher, settings)
        if models:
            models.start()
        yield
        app.state.captioner.close()
        await asyncio.to_thread(batcher.close)
        if models:
            await asyncio.to_thread(models.close)
        if stop_tracing:
            await asyncio.to_thread(stop_tracing)

    app = FastAPI(
        title="Snap2Caption",
        version="1",
        summary="Photo in, Instagram-ready caption and ranked hashtags out.",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    # The last one added is the first that a request meets.
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, seconds=settings.read_seconds)
    if settings.api_key_hashes:
        app.add_middleware(KeyLimits, per_minute=settings.requests_per_minute, at_once=settings.requests_at_once)
    app.add_middleware(KeyGuard, key_hashes=settings.api_key_hashes, metrics_token_hash=settings.metrics_token_hash)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Content-Type", KEY_HEADER],
        expose_headers=["X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy"],
    )
    app.add_middleware(Envelope, counted=_ROUTES)
    stop_tracing = trace(app) if settings.traces else None

    for route in _ROUTES:
        app.post(
            route,
            response_model=CaptionAnswer,
            responses=_PROBLEMS,
            openapi_extra=BODY,
            include_in_schema=route == _ROUTES[0],
        )(generate_caption)

    @app.get("/healthz", summary="Whether the process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether a model is in service", responses=problems([503]))
    def readyz() -> Readiness:
        served = current()
        if served is None:
            raise no_model()
        return Readiness(model_version=served.engine.version)

    @app.get(METRICS, summary="For Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    add_handlers(app)
    describe(app, with_keys=bool(settings.api_key_hashes))
    return app


async def generate_caption(request: Request) -> Response | CaptionAnswer:
    """Caption a photo: multipart with the field `image`, or JSON with the photo in base64."""
    captioner: Captioner = request.app.state.captioner
    captioner.check_room()
    data, options = await read_request(request)
    write = partial(captioner.caption, data, options, request.state.request_id)
    answer: Coroutine[None, None, Response | CaptionAnswer] = (
        stream(write, request.state.request_id) if options.stream else write()
    )
    writing = asyncio.create_task(answer)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await writing if writing.done() else Response(status_code=_CLIENT_LEFT)
    finally:
        # Servers don't cancel a request whose client has left; a photo that nobody waits for is not captioned.
        writing.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
