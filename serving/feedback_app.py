"""The intake of feedback as a service of its own, without a model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from serving.feedback.routes import Intake, build_router
from serving.feedback.schemas import SubmissionBody
from serving.feedback.service import FeedbackService, open_feedback_service
from serving.http.api_docs import document
from serving.http.openapi import METRICS_ANSWERS, describe
from serving.middleware.stack import protect
from serving.paths import FEEDBACK, METRICS
from serving.settings import ServingSettings
from snap2caption.settings import Settings


def create_intake(settings: ServingSettings) -> FastAPI:
    """Return the service over the store that this installation's feedback is kept in."""
    return build_intake(settings, open_feedback_service(settings, Settings().feedback_uri))


def build_intake(settings: ServingSettings, feedback_service: FeedbackService) -> FastAPI:
    """Return the service. It may share its folder with the one that captions, and knows the requests that were kept there."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.feedback = Intake(feedback_service, settings.feedback_store_seconds)
        feedback_service.start()
        yield
        app.state.feedback.close()
        await asyncio.to_thread(feedback_service.close)

    app = FastAPI(
        title="Snap2Caption feedback",
        version="1",
        summary="What creators say.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    protect(app, settings, photos=FEEDBACK)
    app.include_router(build_router())

    # Not in a thread: it is answered as long as the event loop runs.
    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(METRICS, summary="For Prometheus", response_class=Response, responses=METRICS_ANSWERS)
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    document(app)
    describe(
        app,
        [SubmissionBody],
        with_keys=settings.asks_for_keys,
        with_metrics_token=settings.asks_for_keys or settings.metrics_token_hash is not None,
    )
    return app
