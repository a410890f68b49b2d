"""Captioning application: a photo in, a caption with hashtags out."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from serving.application import complete_application, open_application
from serving.captioning import server_sent_events as streaming
from serving.captioning.captioner import Captioner
from serving.captioning.content_rules import ContentRules
from serving.captioning.hashtag_tables import HashtagTables
from serving.creators import ANONYMOUS, creator_of
from serving.feedback.routes import IntakeLimiter, build_router
from serving.feedback.schemas import SubmissionBody
from serving.feedback.service import FeedbackService, open_feedback_service
from serving.health import Health
from serving.http.openapi import ALIASES, problems
from serving.http.problems import CLIENT_LEFT, ProblemError
from serving.http.readiness_schemas import Readiness
from serving.http.requests import BODY, read_request
from serving.http.schemas import MAX_VOICE_IN_PROMPT, CaptionAnswer, CaptionRequest, Options, Voice
from serving.middleware.rate_limit import charge
from serving.middleware.tracing import trace
from serving.models.factory import make_manager
from serving.models.manager import ModelManager
from serving.models.served_model import ServedModel
from serving.observability.metrics import VOICE_READ_FAILURES
from serving.page.files import DIST, NOT_BUILT
from serving.paths import CAPTIONS, FEEDBACK
from serving.scheduling.batcher import Batcher
from serving.scheduling.thread_pools import PoolBusyError
from serving.scheduling.ticket import Listener
from serving.settings import ServingSettings
from serving.state.monitor import open_monitor
from serving.state.opening import open_database
from serving.state.tables import Section
from serving.voice.repository import VoiceStore
from serving.voice.routes import VoiceService
from serving.voice.routes import router as voice_routes
from snap2caption.errors import UserError
from snap2caption.hashtags.claims import load_claims
from snap2caption.settings import Settings
from snap2caption.text.language import load_names

logger = logging.getLogger(__name__)

_PROBLEMS = problems((400, 401, 408, 413, 415, 422, 429, 503, 504))
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {streaming.MEDIA_TYPE: {"schema": streaming.SCHEMA}}},
    **_PROBLEMS,
}


def create_app(settings: ServingSettings, give_up: Callable[[], None] = lambda: None) -> FastAPI:
    """Return the captioning application, which serves the registry's champion or the model that *settings* name.

    Args:
        settings: limits, intervals and paths.
        give_up: called when only a restart can help.

    Raises:
        UserError: the model that *settings* name can't be served, or a file of rules is unusable.
    """
    shared = Settings()
    # Loading these takes seconds. Do it now, so that the first caption (or the first non-English one) doesn't wait.
    load_names()
    load_claims()
    if settings.model and not settings.engine_url:
        # Fail now, and not in the background, if there is no such model. A server may still be starting.
        from serving.engines.local.loader import check_family

        check_family(settings.model, shared.models_dir)
    if settings.page and not (DIST / "index.html").exists():
        logger.warning(NOT_BUILT)
    models = make_manager(settings, shared)
    tables = HashtagTables(shared.datasets_uri, poll_seconds=settings.hashtags_poll_seconds)
    return build_app(
        settings, models.current, models, tables, open_feedback_service(settings, shared.feedback_uri), give_up
    )


def build_app(
    settings: ServingSettings,
    current: Callable[[], ServedModel | None],
    models: ModelManager | None = None,
    tables: HashtagTables | None = None,
    feedback_service: FeedbackService | None = None,
    give_up: Callable[[], None] = lambda: None,
) -> FastAPI:
    """Return the captioning application.

    Args:
        settings: limits, intervals and paths.
        current: returns the model in service, or None.
        models: chooses the model for each request; without it, *current* answers all of them.
        tables: the corpus's hashtag tables.
        feedback_service: accepts feedback; without it, the feedback routes don't exist.
        give_up: called from another thread when only a restart can help.

    *models*, *tables* and *feedback_service* are started and stopped together with the application.
    """
    rules, voices = ContentRules.read(settings), VoiceStore(open_database(settings, Section.VOICES))
    database = open_monitor(settings)
    followers = [follower for follower in (models, tables, feedback_service, database) if follower is not None]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A whole batch may arrive before its first request is picked up, so the queue holds all admitted requests.
        batcher = Batcher(
            models.choose if models else lambda _: current(),
            max_batch=settings.max_batch,
            queue_size=settings.capacity,
            deadline=settings.deadline_seconds,
            give_up=give_up,
        )
        table = (tables.current,) if tables else ()
        app.state.captioner = Captioner(batcher, settings, rules, *table)
        app.state.health = Health(
            settings, current, batcher, app.state.captioner, models, tables, feedback_service, database
        )
        app.state.voices = VoiceService(voices, settings.voice_seconds)
        app.state.feedback = (
            IntakeLimiter(feedback_service, settings.feedback_store_seconds) if feedback_service else None
        )
        for follower in followers:
            follower.start()
        yield
        app.state.captioner.close()
        app.state.voices.close()
        if feedback_service:
            app.state.feedback.close()
        await asyncio.to_thread(batcher.close)
        for follower in followers:
            await asyncio.to_thread(follower.close)
        if stop_tracing:
            await asyncio.to_thread(stop_tracing)

    app = open_application(
        settings,
        title="Snap2Caption",
        summary="Photo in, Instagram-ready caption and ranked hashtags out.",
        lifespan=lifespan,
        photos=(*CAPTIONS, *FEEDBACK),
        counted=CAPTIONS,
        page=DIST if settings.page else None,
    )
    stop_tracing = trace(app) if settings.traces else None

    for route in CAPTIONS:
        app.post(
            route,
            response_model=CaptionAnswer,
            responses=_ANSWERS,
            openapi_extra=BODY,
            operation_id=route.strip("/").replace("/", "_"),
            tags=["captions"] if route == CAPTIONS[0] else [ALIASES],
        )(generate_caption)

    app.include_router(voice_routes, responses=_PROBLEMS)

    if feedback_service:
        app.include_router(build_router())

    # Async, so that they don't need a thread: these answer as long as the event loop runs.
    @app.get("/healthz", summary="Liveness probe", responses=problems([503]))
    async def healthz() -> dict[str, str]:
        _health(app).check_liveness()
        return {"status": "ok"}

    @app.get("/readyz", summary="Readiness probe", responses=problems([503]), response_model=Readiness)
    async def readyz() -> Response | Readiness:
        health = _health(app)
        try:
            return health.readiness()
        except ProblemError as problem:
            return problem.response(health.condition())

    bodies: list[type[BaseModel]] = [CaptionRequest, Voice, *([SubmissionBody] if feedback_service else [])]
    return complete_application(
        app, settings, bodies, observe=lambda: _health(app).observe(), note=lambda: _health(app).limitations or ""
    )


def _health(app: FastAPI) -> Health:
    health: Health = app.state.health
    return health


async def generate_caption(request: Request) -> Response | CaptionAnswer:
    """Caption a photo, or several photos of one post.

    Send multipart/form-data with one or more `image` fields, or JSON with the photos in base64.
    """
    captioner: Captioner = request.app.state.captioner
    captioner.load.check_room(creator_of(request))
    photos, options = await read_request(request)
    await charge(request, len(photos) * options.variants)
    saved_captions = await _read_voice(request) if options.voice is None else ()
    generate = partial(_caption_and_keep, request, photos, options, saved_captions)
    answer: Coroutine[None, None, Response | CaptionAnswer] = (
        streaming.stream(generate, options, request.state.request_id) if options.stream else generate()
    )
    generation = asyncio.create_task(answer)
    disconnect = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({generation, disconnect}, return_when=asyncio.FIRST_COMPLETED)
        return await generation if generation.done() else Response(status_code=CLIENT_LEFT)
    finally:
        # Servers don't cancel a request whose client has disconnected. Cancel it here, so that no photo is
        # captioned for nobody.
        generation.cancel()
        disconnect.cancel()


async def _caption_and_keep(
    request: Request,
    photos: list[bytes],
    options: Options,
    saved_captions: tuple[str, ...] | None,
    listener: Listener | None = None,
) -> CaptionAnswer:
    """Caption the photos. If the creator agreed, keep what feedback needs before the answer is sent."""
    captioner: Captioner = request.app.state.captioner
    key, creator = _routing_key(request, photos), creator_of(request)
    answer = await captioner.caption(photos, options, request.state.request_id, saved_captions, key, listener, creator)
    feedback: IntakeLimiter | None = request.app.state.feedback
    if feedback and options.keep_for_feedback:
        await feedback.keep(creator, photos[0], options, answer)
    return answer


def _routing_key(request: Request, photos: list[bytes]) -> str:
    """Return the key that chooses between champion and challenger: the creator or, without API keys, the photo.

    The same key always gets the same model.
    """
    creator = creator_of(request)
    return creator if creator != ANONYMOUS else hashlib.sha256(photos[0]).hexdigest()


async def _read_voice(request: Request) -> tuple[str, ...] | None:
    """Return the creator's newest captions, or None if they can't be read: a caption without a voice beats none."""
    voices: VoiceService = request.app.state.voices
    try:
        return tuple(await voices.newest(creator_of(request), MAX_VOICE_IN_PROMPT))
    except (PoolBusyError, UserError) as error:
        logger.warning("saved captions can't be read; this caption is written without a voice: %s", error)
        VOICE_READ_FAILURES.inc()
        return None


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
