"""The service: a photo in, a caption with hashtags out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from serving.access import METRICS, KeyGuard
from serving.batching import Batcher
from serving.captioner import Captioner, no_model
from serving.intake import BODY, read_request
from serving.limits import BodyLimit, Envelope
from serving.metrics import REFUSALS
from serving.models import Models, Served
from serving.problems import MEDIA_TYPE, ProblemBody, ProblemError, broken
from serving.schemas import CaptionAnswer, CaptionRequest, Readiness
from serving.settings import ServingSettings
from serving.streaming import stream
from snap2caption.registry import Registry
from snap2caption.settings import Settings

logger = logging.getLogger(__name__)

_PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in (400, 401, 408, 413, 415, 422, 503, 504)
}
_ROUTES = ("/generate-caption", "/generate_caption", "/v1/generate-caption")

_READ_SECONDS = 30.0
"""A client that takes longer to send its photo is let go."""

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

    app = FastAPI(
        title="Snap2Caption",
        version="1",
        summary="Photo in, Instagram-ready caption and ranked hashtags out.",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    # The last one added is the first that a request meets.
    app.add_middleware(KeyGuard, key_hashes=settings.api_key_hashes, metrics_token_hash=settings.metrics_token_hash)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Envelope, counted=_ROUTES)

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

    @app.get("/readyz", summary="Whether a model is in service", responses={503: _PROBLEMS[503]})
    def readyz() -> Readiness:
        served = current()
        if served is None:
            raise no_model()
        return Readiness(model_version=served.engine.version)

    @app.get(METRICS, summary="For Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _add_problems(app)
    _add_request_schema(app)
    return app


async def generate_caption(request: Request) -> Response | CaptionAnswer:
    """Caption a photo: multipart with the field `image`, or JSON with the photo in base64."""
    captioner: Captioner = request.app.state.captioner
    captioner.check_room()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            data, options = await read_request(request)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, "slow_body", "The photo took too long to arrive; send a smaller one."
        ) from None
    write = partial(captioner.caption, data, options, request.state.request_id)
    writing = asyncio.create_task(stream(write, request.state.request_id) if options.stream else write())
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


def _add_problems(app: FastAPI) -> None:
    """Answer every refusal with a problem body."""

    def refuse(request: Request, problem: ProblemError) -> JSONResponse:
        if request.url.path in _ROUTES:
            REFUSALS.labels(problem.reason).inc()
        return problem.response()

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> JSONResponse:
        return refuse(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        detail = f"{error.detail}; see /docs for what there is."
        answer = refuse(request, ProblemError(status, status.name.lower(), detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        detail = f"{first['loc'][-1]}: {first['msg']}."
        return refuse(request, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail))

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        logger.error("request %s failed", request.state.request_id, exc_info=error)
        return refuse(request, broken(request.state.request_id))


def _add_request_schema(app: FastAPI) -> None:
    """Add the JSON body's schema to OpenAPI, which `BODY` refers to."""
    document = app.openapi

    def openapi() -> dict[str, object]:
        schema = document()
        models = CaptionRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        schema["components"]["schemas"].update(models.pop("$defs", {}))
        schema["components"]["schemas"]["CaptionRequest"] = models
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
