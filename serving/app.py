"""The service: a photo in, a caption with hashtags out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from serving.batching import Batcher
from serving.captioner import Captioner, Rules, no_model
from serving.creators import creator_of
from serving.intake import BODY, read_request
from serving.limits import BodyLimit, Envelope
from serving.metrics import REFUSALS
from serving.models import Models, Served
from serving.problems import MEDIA_TYPE, ProblemBody, ProblemError, broken
from serving.schemas import MOST_TOLD, CaptionAnswer, CaptionRequest, Readiness
from serving.settings import ServingSettings
from serving.streaming import stream
from serving.tables import HashtagTables
from serving.voice import VoiceStore
from serving.voice_routes import router as voice_routes
from snap2caption.errors import UserError
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
    tables = HashtagTables(shared.datasets_uri, poll_seconds=settings.hashtags_poll_seconds)
    return build_app(settings, models.current, models, tables)


def build_app(
    settings: ServingSettings,
    current: Callable[[], Served | None],
    models: Models | None = None,
    tables: HashtagTables | None = None,
) -> FastAPI:
    """Return the service over the model that *current* names; *models* and *tables*, if given, are started and stopped with it."""
    rules, voices = Rules.read(settings), VoiceStore(settings.voice_file)
    followers = [follower for follower in (models, tables) if follower is not None]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A whole batch may arrive before the first of it is taken: the queue holds all who were let in.
        batcher = Batcher(
            lambda _: current(),
            max_batch=settings.max_batch,
            queue_size=settings.capacity,
            deadline=settings.deadline_seconds,
        )
        table = (tables.current,) if tables else ()
        app.state.captioner = Captioner(batcher, settings, rules, *table)
        app.state.voices = voices
        for follower in followers:
            follower.start()
        yield
        app.state.captioner.close()
        await asyncio.to_thread(batcher.close)
        for follower in followers:
            await asyncio.to_thread(follower.close)

    app = FastAPI(
        title="Snap2Caption",
        version="1",
        summary="Photo in, Instagram-ready caption and ranked hashtags out.",
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Envelope, counted=_ROUTES)

    def check_key(x_api_key: Annotated[str | None, Header()] = None) -> None:
        if not settings.admits(x_api_key):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED, "bad_key", "The API key is missing or wrong; send it in the header X-API-Key."
            )

    for route in _ROUTES:
        app.post(
            route,
            response_model=CaptionAnswer,
            responses=_PROBLEMS,
            openapi_extra=BODY,
            dependencies=[Depends(check_key)],
            include_in_schema=route == _ROUTES[0],
        )(generate_caption)

    app.include_router(voice_routes, responses=_PROBLEMS, dependencies=[Depends(check_key)])

    @app.get("/healthz", summary="Whether the process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether a model is in service", responses={503: _PROBLEMS[503]})
    def readyz() -> Readiness:
        served = current()
        if served is None:
            raise no_model()
        return Readiness(model_version=served.engine.version)

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _add_problems(app)
    _add_request_schema(app)
    return app


async def generate_caption(request: Request) -> Response | CaptionAnswer:
    """Caption a photo, or several of one post: multipart with the field `image`, once or more, or JSON with photos in base64."""
    captioner: Captioner = request.app.state.captioner
    captioner.check_room()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            photos, options = await read_request(request)
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, "slow_body", "The photo took too long to arrive; send a smaller one."
        ) from None
    saved = await asyncio.to_thread(_read_voice, request) if options.voice is None else []
    write = partial(captioner.caption, photos, options, request.state.request_id, tuple(saved))
    answer: Awaitable[Response | CaptionAnswer] = stream(write, request.state.request_id) if options.stream else write()
    writing = asyncio.ensure_future(answer)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return await writing if writing.done() else Response(status_code=_CLIENT_LEFT)
    finally:
        # Servers don't cancel a request whose client has left; a photo that nobody waits for is not captioned.
        writing.cancel()
        leaving.cancel()


def _read_voice(request: Request) -> list[str]:
    """Return the creator's newest captions; none where they can't be read, as a caption in no voice is better than none."""
    voices: VoiceStore = request.app.state.voices
    try:
        return voices.captions(creator_of(request), MOST_TOLD)
    except UserError as error:
        logger.warning("%s", error)
        return []


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

    @app.exception_handler(UserError)
    async def away(request: Request, error: UserError) -> JSONResponse:
        logger.warning("request %s: %s", request.state.request_id, error)
        detail = "What this needs is away for now; try again later."
        return refuse(request, ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "away", detail, 10))

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
