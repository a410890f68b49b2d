"""The intake of feedback as a service of its own, without a model."""

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
    """Return the service over the store that this installation's feedback is kept in."""
    return build_intake(settings, open_feedback_service(settings, Settings().feedback_uri))


def build_intake(settings: ServingSettings, feedback_service: FeedbackService) -> FastAPI:
    """Return the service. It may share its folder with the one that captions, and knows the requests that were kept there."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.feedback = IntakeLimiter(feedback_service, settings.feedback_store_seconds)
        feedback_service.start()
        yield
        app.state.feedback.close()
        await asyncio.to_thread(feedback_service.close)

    app = open_application(
        settings, title="Snap2Caption feedback", summary="What creators say.", lifespan=lifespan, photos=FEEDBACK
    )
    app.include_router(build_router())

    # Not in a thread: it is answered as long as the event loop runs.
    @app.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return complete_application(app, settings, [SubmissionBody])
