"""The routes by which creators say what they think of captions, and have it erased."""

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
from serving.feedback.schemas import Accepted, Erased, words
from serving.feedback.service import FeedbackService, store_away
from serving.http.openapi import ALIASES, problems
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options
from serving.paths import FEEDBACK
from serving.scheduling.thread_pools import BoundedThreadPool, PoolBusyError

_MOST_INSIDE = 64
"""Feedback that is read or waits for its turn at once; more is refused, so that memory is bounded."""

_AT_ONCE = 2
"""Photos decoded at once. A large one takes up to 800 MB while it is decoded."""

_THREADS, _WAITING = 4, 256
"""For what is done on the disk, and how much of it may wait."""

_STORE_THREADS = 4
"""For what must be asked of the store. Nothing waits for them: a store that hangs is told of at once."""

_ERASE_SECONDS = 5.0
"""How long the answer waits for the store to be rid of what was to be erased."""

_ID = re.compile(r"[0-9a-f]{32}")


class IntakeLimiter:
    """The intake of feedback: lets `_MOST_INSIDE` in, and `_AT_ONCE` of them have their turn.

    Whoever asks the store waits for *store_seconds* at most, in threads of their own.
    """

    def __init__(self, service: FeedbackService, store_seconds: float) -> None:
        self._service = service
        self._store_seconds = store_seconds
        self._disk = BoundedThreadPool("feedback", _THREADS, _WAITING)
        self._store = BoundedThreadPool("feedback-store", _STORE_THREADS)
        self._inside = 0
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def take(self, request: Request) -> tuple[str, bool]:
        """Take the feedback that *request* brings; return its id and whether it had come before.

        Raises:
            ProblemError: it is refused.
        """
        if self._inside >= _MOST_INSIDE:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "busy",
                "Too much feedback comes in at once; try again in some seconds.",
                2,
            )
        self._inside += 1
        try:
            key = read_key(request)
            submission, image = await read_submission(request)
            async with self._turns:
                taken = await self._disk.run(self._service.take, creator_of(request), submission, image, key)
        finally:
            self._inside -= 1
        return taken.id, taken.repeated

    async def keep(self, creator: str, photo: bytes, options: Options, answer: CaptionAnswer) -> None:
        """Keep a request whose creator agreed to it, so that feedback can refer to it."""
        content = CachedRequest(
            variants=tuple(words(variant.caption, variant.hashtags) for variant in answer.variants),
            model_version=answer.model_version,
            tone=options.tone,
            location=options.location,
            confidence=answer.confidence,
        )
        async with self._turns:
            await self._disk.run(self._service.keep, answer.request_id, creator, content, photo)

    async def erase(self, creator: str, identifier: str) -> bool:
        """Erase one feedback of a creator; return whether the store has no copy of it any more.

        Raises:
            ProblemError: there is none of theirs, or the store, which alone knows of it, is away.
        """
        if await self._disk.run(self._service.is_here, identifier):
            await self._disk.run(self._service.erase, creator, identifier)
        else:
            try:
                await self._store.run(self._service.erase, creator, identifier, seconds=self._store_seconds)
            except PoolBusyError:
                raise store_away() from None
        return await self._wait_for_store(creator, identifier)

    async def erase_all(self, creator: str) -> bool:
        """Erase all of a creator's feedback; return whether the store has no copy of it any more."""
        await self._disk.run(self._service.erase_all, creator)
        return await self._wait_for_store(creator)

    def close(self) -> None:
        """Take nothing more."""
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
    erased: dict[int | str, dict[str, Any]] = {202: {"model": Erased, "description": "The store is away: later."}}
    for path in FEEDBACK:
        tags: list[str | Enum] = ["feedback"] if path == FEEDBACK[0] else [ALIASES]
        router.post(
            path,
            status_code=HTTPStatus.ACCEPTED,
            response_model=Accepted,
            responses=problems((400, 401, 404, 408, 410, 413, 415, 422, 429, 503, 507)),
            openapi_extra=BODY,
            tags=tags,
            summary="Say what you think of a caption",
        )(take_feedback)
        router.delete(
            path, responses=erased | problems((401, 429, 503, 507)), tags=tags, summary="Erase all that you ever sent"
        )(erase_all)
        router.delete(
            f"{path}/{{identifier}}",
            responses=erased | problems((401, 404, 422, 429, 503, 507)),
            tags=tags,
            summary="Erase one feedback",
        )(erase_feedback)
    return router


async def take_feedback(request: Request, response: Response) -> Accepted:
    """Take a creator's word on a caption. Once answered it is on the disk; sent again with its key, it is taken once."""
    try:
        identifier, repeated = await _intake(request).take(request)
    except ProblemError as problem:
        REFUSALS.labels(problem.reason).inc()
        raise
    if repeated:
        response.headers["Idempotency-Replayed"] = "true"
    return Accepted(id=identifier)


async def erase_feedback(identifier: str, request: Request, response: Response) -> Erased:
    """Erase every copy of one feedback: here, in the store, in your voice, and in what models learn from later."""
    if not _ID.fullmatch(identifier):
        raise ProblemError(HTTPStatus.NOT_FOUND, "unknown_feedback", "You have sent no feedback of that id.")
    return _answer(await _intake(request).erase(creator_of(request), identifier), response)


async def erase_all(request: Request, response: Response) -> Erased:
    """Erase every copy of all the feedback that you sent, your voice, and what was kept of your requests."""
    return _answer(await _intake(request).erase_all(creator_of(request)), response)


def _answer(erased: bool, response: Response) -> Erased:
    """Answer 200 once it is done; 202 if the store is away, and it is still to be done."""
    response.status_code = HTTPStatus.OK if erased else HTTPStatus.ACCEPTED
    return Erased(erased=erased)


def _intake(request: Request) -> IntakeLimiter:
    intake: IntakeLimiter = request.app.state.feedback
    return intake
