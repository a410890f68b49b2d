"""Feedback application: a separate service that accepts feedback, without a model."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serving.application import complete_application, open_application
from serving.feedback.routes import IntakeLimiter, build_router
from serving.feedback.schemas import SubmissionBody
from serving.feedback.service import FeedbackService, open_feedback_service
from serving.paths import FEEDBACK
from serving.settings import ServingSettings
from snap2caption.settings import Settings


def create_intake(settings: ServingSettings) -> FastAPI:
    """Return the feedback application over the feedback store of this installation."""
    return build_intake(settings, open_feedback_service(settings, Settings().feedback_uri))


def build_intake(settings: ServingSettings, feedback_service: FeedbackService) -> FastAPI:
    """Return the feedback application.

    It may share its folder with the captioning service, and then knows the requests that were kept there.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.feedback = IntakeLimiter(feedback_service, settings.feedback_store_seconds)
        feedback_service.start()
        yield
        app.state.feedback.close()
        await asyncio.to_thread(feedback_service.close)

    app = open_application(
        settings,
        title="Snap2Caption feedback",
        summary="Creators' feedback on captions.",
        lifespan=lifespan,
        photos=FEEDBACK,
    )
    app.include_router(build_router())

    # Async, so that it doesn't need a thread: it answers as long as the event loop runs.
    @app.get("/healthz", summary="Liveness probe")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return complete_application(app, settings, [SubmissionBody])
