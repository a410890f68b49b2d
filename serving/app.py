"""The service: a photo in, a caption with hashtags out."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from serving.batching import Batcher, Done, ExpiredError, NoModelError, QueueFullError
from serving.engine import Task
from serving.intake import BODY, read_request
from serving.limits import BodyLimit, Envelope
from serving.metrics import REFUSALS, REQUESTS, STAGE, TOKENS
from serving.models import Models, Served
from serving.problems import MEDIA_TYPE, ProblemBody, ProblemError
from serving.ranking import rank
from serving.schemas import CaptionAnswer, CaptionRequest, Options, Readiness, Timing, Variant
from serving.settings import ServingSettings
from snap2caption.images import ImageError, decode
from snap2caption.post import build_prompt, parse
from snap2caption.registry import Registry
from snap2caption.settings import Settings
from snap2caption.vlm import Decoding

logger = logging.getLogger(__name__)

_CREATIVE = 0.8
"""The temperature of variants and of captions with a seed."""

_PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"model": ProblemBody, "content": {MEDIA_TYPE: {}}} for status in (400, 401, 413, 415, 422, 503, 504)
}
_ROUTES = ("/generate-caption", "/generate_caption", "/v1/generate-caption")


class Captioner:
    """What a request goes through: decode, queue, write, choose hashtags."""

    def __init__(self, batcher: Batcher, settings: ServingSettings) -> None:
        self._batcher = batcher
        self._settings = settings

    async def caption(self, data: bytes, options: Options, request_id: str) -> CaptionAnswer:
        """Caption one photo.

        Raises:
            ProblemError: the photo is refused, or nobody can answer now.
        """
        started = time.monotonic()
        try:
            image = await asyncio.to_thread(decode, data, max_pixels=self._settings.max_pixels)
        except ImageError as error:
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.reason == "too_large" else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            raise ProblemError(status, f"image_{error.reason}", str(error)) from error
        decoded = time.monotonic()
        done = await self._written(Task(image, build_prompt(options.request()), self._decodings(options)))
        ranking = time.monotonic()
        variants = [_variant(text, done.served, options.hashtags) for text in done.written.texts]
        ended = time.monotonic()
        timing = {
            "decode": decoded - started,
            "queue": done.waited,
            "generate": done.took,
            "hashtags": ended - ranking,
            "total": ended - started,
        }
        for stage, seconds in timing.items():
            STAGE.labels(stage).observe(seconds)
        TOKENS.inc(done.written.tokens)
        return CaptionAnswer(
            **variants[0].model_dump(),
            alt_text=done.written.description,
            variants=variants,
            request_id=request_id,
            model_version=done.served.engine.version,
            timing=Timing(**{stage: round(1000 * seconds, 1) for stage, seconds in timing.items()}),
        )

    def _decodings(self, options: Options) -> tuple[Decoding, ...]:
        tokens = self._settings.max_new_tokens
        seed = options.seed or 0
        first = Decoding(tokens) if options.seed is None else Decoding(tokens, _CREATIVE, seed=seed)
        return (first, *(Decoding(tokens, _CREATIVE, seed=seed + variant) for variant in range(1, options.variants)))

    async def _written(self, task: Task) -> Done:
        try:
            return await asyncio.wrap_future(self._batcher.submit(task))
        except QueueFullError:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "queue_full",
                "Too many photos wait already; try again in some seconds.",
                2,
            ) from None
        except ExpiredError:
            raise ProblemError(
                HTTPStatus.GATEWAY_TIMEOUT,
                "deadline",
                "The photo waited for too long and was not captioned; try again.",
                2,
            ) from None
        except NoModelError:
            raise _no_model() from None


def _variant(text: str, served: Served, number: int) -> Variant:
    post = parse(text)
    chosen = rank(post.caption, post.hashtags, served.hashtags, number)
    return Variant(caption=post.caption, hashtags=[f"#{tag}" for tag in chosen])


def _no_model() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "no_model",
        "No model is in service yet; promote one, then try again.",
        retry_after=10,
    )


def create_app() -> FastAPI:
    """Return the service, configured by the environment."""
    settings, shared = ServingSettings(), Settings()
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
        batcher = Batcher(
            current, max_batch=settings.max_batch, queue_size=settings.queue_size, deadline=settings.deadline_seconds
        )
        app.state.captioner = Captioner(batcher, settings)
        if models:
            models.start()
        yield
        await asyncio.to_thread(batcher.close)
        if models:
            await asyncio.to_thread(models.close)

    app = FastAPI(
        title="Snap2Caption",
        version="1",
        summary="Photo in, Instagram-ready caption and ranked hashtags out.",
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Envelope)

    def check_key(x_api_key: Annotated[str | None, Header()] = None) -> None:
        if not settings.admits(x_api_key):
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED, "bad_key", "The API key is missing or wrong; send it in the header X-API-Key."
            )

    async def generate_caption(request: Request) -> CaptionAnswer:
        """Caption a photo: multipart with the field `image`, or JSON with the photo in base64."""
        data, options = await read_request(request)
        captioner: Captioner = request.app.state.captioner
        answer = await captioner.caption(data, options, request.state.request_id)
        REQUESTS.labels("200").inc()
        return answer

    for route in _ROUTES:
        app.post(
            route,
            response_model=CaptionAnswer,
            responses=_PROBLEMS,
            openapi_extra=BODY,
            dependencies=[Depends(check_key)],
            include_in_schema=route == _ROUTES[0],
        )(generate_caption)

    @app.get("/healthz", summary="Whether the process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether a model is in service", responses={503: _PROBLEMS[503]})
    def readyz() -> Readiness:
        served = current()
        if served is None:
            raise _no_model()
        return Readiness(model_version=served.engine.version)

    @app.get("/metrics", summary="For Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _add_problems(app)
    _add_request_schema(app)
    return app


def _add_problems(app: FastAPI) -> None:
    """Answer every refusal with a problem body."""

    def refuse(problem: ProblemError) -> JSONResponse:
        REFUSALS.labels(problem.reason).inc()
        REQUESTS.labels(str(problem.status.value)).inc()
        return problem.response()

    @app.exception_handler(ProblemError)
    async def problem(_: Request, error: ProblemError) -> JSONResponse:
        return refuse(error)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        return refuse(ProblemError(status, status.name.lower(), f"{error.detail}; see /docs for what there is."))

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return refuse(ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{first['loc'][-1]}: {first['msg']}."))

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> JSONResponse:
        logger.exception("request %s failed", request.state.request_id, exc_info=error)
        return refuse(
            ProblemError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "internal",
                f"Something broke; report request {request.state.request_id}.",
            )
        )


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
