"""Feedback routes: creators submit feedback on captions, and have it erased."""

import asyncio
import re
import time
from enum import Enum
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from serving.creators import creator_of
from serving.feedback.metrics import REFUSALS
from serving.feedback.request_cache import CachedRequest
from serving.feedback.requests import BODY, read_key, read_submission
from serving.feedback.schemas import Accepted, Erased, to_words
from serving.feedback.service import FeedbackService, store_unavailable
from serving.http.openapi import ALIASES, problems
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options
from serving.paths import FEEDBACK
from serving.scheduling.thread_pools import BoundedThreadPool, PoolBusyError

_MAX_IN_FLIGHT = 64
"""Submissions in flight at once. More are refused, so that memory is bounded."""

_MAX_DECODING = 2
"""Photos decoded at once. A large one takes up to 800 MB while it is decoded."""

_THREADS, _WAITING = 4, 256
"""Threads for work on the disk, and how many calls may wait for them."""

_STORE_THREADS = 4
"""Threads for calls to the store. No call waits for one, so that a store that hangs is reported at once."""

_ERASE_SECONDS = 5.0
"""How long the response waits for the store to finish an erasure."""

_ID = re.compile(r"[0-9a-f]{32}")


class IntakeLimiter:
    """Admission control of feedback: at most `_MAX_IN_FLIGHT` submissions, of which `_MAX_DECODING` decode photos.

    Calls to the store have threads of their own and take at most *store_seconds*.
    """

    def __init__(self, service: FeedbackService, store_seconds: float) -> None:
        self._service = service
        self._store_seconds = store_seconds
        self._disk = BoundedThreadPool("feedback", _THREADS, _WAITING)
        self._store = BoundedThreadPool("feedback-store", _STORE_THREADS)
        self._in_flight = 0
        self._decoding = asyncio.Semaphore(_MAX_DECODING)

    async def admit(self, request: Request) -> tuple[str, bool]:
        """Accept the feedback in *request*, and return its id and whether it was accepted before.

        Raises:
            ProblemError: the feedback is refused.
        """
        if self._in_flight >= _MAX_IN_FLIGHT:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "busy",
                "Too much feedback is arriving at once; try again in a few seconds.",
                2,
            )
        self._in_flight += 1
        try:
            key = read_key(request)
            submission, image = await read_submission(request)
            async with self._decoding:
                receipt = await self._disk.run(self._service.accept, creator_of(request), submission, image, key)
        finally:
            self._in_flight -= 1
        return receipt.id, receipt.repeated

    async def keep(self, creator: str, photo: bytes, options: Options, answer: CaptionAnswer) -> None:
        """Keep a caption request whose creator agreed to it, so that feedback can refer to it."""
        content = CachedRequest(
            variants=tuple(to_words(variant.caption, variant.hashtags) for variant in answer.variants),
            model_version=answer.model_version,
            tone=options.tone,
            location=options.location,
            confidence=answer.confidence,
        )
        async with self._decoding:
            await self._disk.run(self._service.keep, answer.request_id, creator, content, photo)

    async def erase(self, creator: str, identifier: str) -> bool:
        """Erase one feedback of a creator, and return whether the store has no copy left.

        Raises:
            ProblemError: the creator has no such feedback, or only the store could tell and it is unreachable.
        """
        if await self._disk.run(self._service.is_here, identifier):
            await self._disk.run(self._service.erase, creator, identifier)
        else:
            try:
                await self._store.run(self._service.erase, creator, identifier, seconds=self._store_seconds)
            except PoolBusyError:
                raise store_unavailable() from None
        return await self._wait_for_store(creator, identifier)

    async def erase_all(self, creator: str) -> bool:
        """Erase all of a creator's feedback, and return whether the store has no copy left."""
        await self._disk.run(self._service.erase_all, creator)
        return await self._wait_for_store(creator)

    def close(self) -> None:
        """Accept no more calls."""
        for pool in (self._disk, self._store):
            pool.close()

    async def _wait_for_store(self, creator: str, identifier: str | None = None) -> bool:
        deadline = time.monotonic() + _ERASE_SECONDS
        while not (erased := await self._disk.run(self._service.is_erased, creator, identifier)):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.05)
        return erased


def build_router() -> APIRouter:
    """Return the routes. The application's state holds the `IntakeLimiter` under ``feedback``."""
    router = APIRouter()
    erased: dict[int | str, dict[str, Any]] = {
        202: {"model": Erased, "description": "The store is temporarily unavailable: the erasure is done later."}
    }
    for path in FEEDBACK:
        tags: list[str | Enum] = ["feedback"] if path == FEEDBACK[0] else [ALIASES]
        router.post(
            path,
            status_code=HTTPStatus.ACCEPTED,
            response_model=Accepted,
            responses=problems((400, 401, 404, 408, 410, 413, 415, 422, 429, 503, 507)),
            openapi_extra=BODY,
            tags=tags,
            summary="Send feedback on a caption",
        )(take_feedback)
        router.delete(
            path, responses=erased | problems((401, 429, 503, 507)), tags=tags, summary="Erase all your feedback"
        )(erase_all)
        router.delete(
            f"{path}/{{identifier}}",
            responses=erased | problems((401, 404, 422, 429, 503, 507)),
            tags=tags,
            summary="Erase one feedback",
        )(erase_feedback)
    return router


async def take_feedback(request: Request, response: Response) -> Accepted:
    """Accept feedback on a caption. It is on the disk before the response is sent.

    Feedback that is sent again with the same idempotency key is accepted once.
    """
    try:
        identifier, repeated = await _intake(request).admit(request)
    except ProblemError as problem:
        REFUSALS.labels(problem.reason).inc()
        raise
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return Accepted(id=identifier)


async def erase_feedback(identifier: str, request: Request, response: Response) -> Erased:
    """Erase every copy of one feedback: here, in the store, in your voice, and in later training data."""
    if not _ID.fullmatch(identifier):
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "unknown_feedback", "You have sent no feedback with this id; check the id."
        )
    return _answer(await _intake(request).erase(creator_of(request), identifier), response)


async def erase_all(request: Request, response: Response) -> Erased:
    """Erase every copy of all your feedback, your voice, and the requests that were kept for feedback."""
    return _answer(await _intake(request).erase_all(creator_of(request)), response)


def _answer(erased: bool, response: Response) -> Erased:
    """Set the status: 200 if the erasure is done, 202 if the store is unreachable and it is still to be done."""
    response.status_code = HTTPStatus.OK if erased else HTTPStatus.ACCEPTED
    return Erased(erased=erased)


def _intake(request: Request) -> IntakeLimiter:
    intake: IntakeLimiter = request.app.state.feedback
    return intake
