"""Captioning pipeline of a request: decode, moderate, queue, generate, rank hashtags."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from PIL.Image import Image

from serving.captioning.attempts import (
    choose,
    corrections,
    fall_back,
    judge,
    needs_retry,
    violation_notices,
)
from serving.captioning.decoding_parameters import caption_decodings, retry_decodings
from serving.captioning.moderation import Moderator, load_moderator
from serving.captioning.notices import Degradation, find_notices
from serving.captioning.photo_decoder import PhotoDecoder
from serving.captioning.post_processing import alt_text, compose
from serving.creators import ANONYMOUS
from serving.engines.base import GenerationRequest
from serving.engines.server_errors import EngineUnavailableError
from serving.engines.token_budget import PromptTooLongError
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options, Part, Timing
from serving.models.served_model import ServedModel
from serving.observability.metrics import DECODE_TOKENS, MODEL_SECONDS, STAGE, TOKEN_RATE, TOKENS, UNFAMILIAR
from serving.scheduling.admission import AdmissionControl
from serving.scheduling.batcher import Batcher
from serving.scheduling.ticket import (
    BatchResult,
    ExpiredError,
    Listener,
    NoModelError,
    QueueFullError,
    WorkerEndedError,
)
from serving.settings import ServingSettings
from snap2caption.hashtags.banned import read_banned
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request
from snap2caption.vlm import Decoding

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_Generate = Callable[[Sequence[Image], Request, tuple[Decoding, ...], Listener | None], Awaitable[list[BatchResult]]]

_MAX_ROUNDS = 3
"""How often the photos of one post are captioned until one model has captioned all of them."""

_MAX_EXPECTED_WAIT = 0.5
"""The share of the deadline that a photo may be expected to wait; with a longer wait it is rejected.

Captions may then take twice as long as those before, and every admitted photo is still answered. With 0.75, one in a
hundred admitted photos missed its deadline at ten times the capacity. The queue is never empty with 0.5 either.
"""

_MAX_RETRY_AFTER = 30
"""The longest ``Retry-After`` of a rejected client, in seconds."""


@dataclass(frozen=True, slots=True)
class ContentRules:
    """The operator's content rules: banned hashtags, and moderation of photos."""

    banned: frozenset[str]
    moderator: Moderator | None

    @classmethod
    def read(cls, settings: ServingSettings) -> "ContentRules":
        """Load the rules that *settings* name.

        Raises:
            UserError: the banned hashtags can't be read, or the moderator can't be loaded.
        """
        return cls(read_banned(settings.banned_hashtags), load_moderator(settings.moderation))


class Captioner:
    """Captions photos through *batcher*, with a limit on the photos in flight.

    *table* returns the hashtag table to use with a model. By default, that is the table of its training dataset.
    """

    def __init__(
        self,
        batcher: Batcher,
        settings: ServingSettings,
        rules: ContentRules,
        table: Callable[[ServedModel], HashtagTable] = lambda served: served.hashtags,
    ) -> None:
        self._batcher = batcher
        self._settings = settings
        self._rules = rules
        self._table = table
        self._decoder = PhotoDecoder(settings.max_pixels, rules.moderator)
        self._admission = AdmissionControl(settings.capacity)

    def close(self) -> None:
        """Stop the decoder threads."""
        self._decoder.close()

    @property
    def in_flight(self) -> int:
        """The number of photos that are being decoded, are queued, or are being captioned."""
        return self._admission.in_flight

    @property
    def expected_wait(self) -> float:
        """The seconds that one more photo would wait behind all others; 0 while the batch has a free place."""
        return self._expected_wait_behind(self.in_flight)

    def check_room(self, creator: str = ANONYMOUS, photos: int = 1) -> None:
        """Shed load: reject a request before its photos are read and decoded, if they would be rejected later.

        Raises:
            ProblemError: the service is full, its free places are reserved for others, or the wait is too long.
        """
        if self.full(creator, photos):
            raise self._reject(creator, photos)

    def full(self, creator: str = ANONYMOUS, photos: int = 1) -> bool:
        """Whether so many more photos of a creator would be rejected."""
        wait = self._expected_wait_behind(self._admission.photos_ahead(creator))
        too_long = wait > _MAX_EXPECTED_WAIT * self._settings.deadline_seconds
        return not self._admission.has_room(creator, photos) or too_long

    def _expected_wait_behind(self, ahead: int) -> float:
        return self._batcher.expected_wait(max(0, ahead + 1 - self._settings.max_batch))

    def _reject(self, creator: str, photos: int = 1) -> ProblemError:
        # The photos ahead are answered by then. The reservation lasts twice as long, for clients that retry late.
        wait = self._batcher.expected_wait(self._admission.photos_ahead(creator))
        retry_after = min(_MAX_RETRY_AFTER, max(1, math.ceil(wait)))
        self._admission.reserve(creator, photos, 2 * retry_after)
        detail = "Too many photos wait already; try again in some seconds."
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "queue_full", detail, retry_after)

    async def caption(
        self,
        photos: Sequence[bytes],
        options: Options,
        request_id: str,
        saved: tuple[str, ...] | None = (),
        key: str = "",
        listener: Listener | None = None,
        creator: str = ANONYMOUS,
    ) -> CaptionAnswer:
        """Return one post for one photo or several.

        If the call is canceled, generation stops at the next token. A request that is still queued costs no compute.

        Args:
            photos: encoded images, in the post's order.
            options: the creator's options.
            request_id: the id of the request, for the answer and the log.
            saved: the creator's saved captions, newest first; None if they can't be read.
            key: requests with the same key get the same model.
            listener: called in another thread with the text so far. It is not called for several photos, because
                the caption is chosen when all of them are captioned.
            creator: the creator's id. Creators share the capacity and take turns.

        Raises:
            ProblemError: a photo is rejected, or no caption can be generated now.
        """
        self.check_room(creator, len(photos))
        self._admission.acquire(creator, len(photos))
        try:
            generate = partial(self._generate, options, key, creator)
            most_tokens = self._settings.max_new_tokens * self._batcher.token_factor(key)
            return await self._make_post(photos, options, request_id, saved, most_tokens, generate, listener)
        finally:
            self._admission.release(creator, len(photos))

    async def _make_post(
        self,
        photos: Sequence[bytes],
        options: Options,
        request_id: str,
        saved: tuple[str, ...] | None,
        most_tokens: int,
        generate: _Generate,
        listener: Listener | None,
    ) -> CaptionAnswer:
        started = time.monotonic()
        images = await _gather(
            [self._decoder.decode(photo, name) for photo, name in zip(photos, _display_names(photos), strict=True)]
        )
        decoded = time.monotonic()
        request = options.request(saved or ())
        results = await generate(images, request, caption_decodings(options, most_tokens), listener)
        attempts = [results]
        # The first check of a language loads its detector, which takes half a second.
        drafts = await asyncio.to_thread(judge, results, options, request)
        if needs_retry(drafts, options):
            logger.info("request %s is generated again: no caption was safe to publish and as requested", request_id)
            corrected = replace(request, corrections=corrections(drafts, options))
            try:
                # Its text is not streamed: what was streamed before is replaced at the end.
                results = await generate(images, corrected, retry_decodings(options, most_tokens), None)
            except ProblemError as problem:
                if not drafts:
                    raise
                # A caption that does not comply is better than none.
                logger.info("request %s keeps its first caption (%s)", request_id, problem)
            else:
                attempts.append(results)
                drafts += await asyncio.to_thread(judge, results, options, request)
        queue_seconds = sum(max(result.queue_seconds for result in results) for results in attempts)
        generate_seconds = sum(max(result.generate_seconds for result in results) for results in attempts)
        ranking = time.monotonic()
        chosen = choose(drafts, options) or [fall_back(results, options)]
        generated = [result.generated for result in chosen[0].results]
        served = chosen[0].results[0].served
        table = self._table(served)
        variants = [compose(judged.draft, table, self._rules.banned, options) for judged in chosen]
        ended = time.monotonic()
        timing = {
            "decode": decoded - started,
            "queue": queue_seconds,
            "first_token": min(result.generated.first_token for result in attempts[0]),
            "generate": generate_seconds,
            "hashtags": ended - ranking,
            "total": ended - started,
        }
        for stage, seconds in timing.items():
            STAGE.labels(stage).observe(seconds)
        MODEL_SECONDS.labels(served.engine.version).observe(timing["total"])
        tokens = sum(result.generated.tokens for results in attempts for result in results)
        TOKENS.inc(tokens)
        DECODE_TOKENS.observe(tokens)
        TOKEN_RATE.observe(tokens / generate_seconds)
        unfamiliar = sum((result.unfamiliarity or 0) > 1 for result in generated)
        UNFAMILIAR.inc(unfamiliar)
        occurred = {
            Degradation.UNFAMILIAR_PHOTO: unfamiliar and len(photos) == 1,
            Degradation.UNFAMILIAR_PHOTOS: unfamiliar and len(photos) > 1,
            # For a model that was not trained with voices, another notice says that only the tone is followed.
            Degradation.VOICE_SHORTENED: any(result.voice_shortened for result in generated)
            and served.follows("voice"),
            Degradation.VOICE_UNAVAILABLE: saved is None,
            Degradation.NO_CORPUS: not len(table) and options.regenerate is not Part.CAPTION,
        }
        degradations = [degradation for degradation, is_met in occurred.items() if is_met]
        descriptions = [alt_text(result.description, variants, options) for result in generated]
        return CaptionAnswer(
            **variants[0].model_dump(),
            alt_text=descriptions[0],
            alt_texts=descriptions,
            variants=variants,
            notices=find_notices(
                options,
                request,
                served,
                variants,
                descriptions,
                usable=bool(drafts),
                violations=violation_notices(chosen),
                degradations=degradations,
            ),
            request_id=request_id,
            model_version=served.engine.version,
            confidence=next(iter(generated[0].confidences), None),
            timing=Timing(**{stage: round(1000 * seconds, 1) for stage, seconds in timing.items()}),
        )

    async def _generate(
        self,
        options: Options,
        key: str,
        creator: str,
        images: Sequence[Image],
        request: Request,
        decodings: tuple[Decoding, ...],
        listener: Listener | None,
    ) -> list[BatchResult]:
        """Caption all photos of one post with the same model, even if it is swapped meanwhile."""
        # Only text that will be part of the answer may be streamed.
        streamed = listener if len(images) == 1 and options.regenerate is not Part.HASHTAGS else None
        for _ in range(_MAX_ROUNDS):
            tasks = [GenerationRequest(image, request, decodings, stream=streamed is not None) for image in images]
            results = await _gather([self._run_task(task, key, creator, streamed) for task in tasks])
            if len({result.served.engine.version for result in results}) == 1:
                return results
        raise no_model(self._settings)

    async def _run_task(
        self, task: GenerationRequest, key: str, creator: str, listener: Listener | None
    ) -> BatchResult:
        try:
            # Counting the tokens of a long prompt takes milliseconds, so it runs in a thread, and before queueing.
            await asyncio.to_thread(self._batcher.check, task, key)
            ticket = self._batcher.submit(task, key, listener, creator)
        except PromptTooLongError as error:
            raise _too_long(error) from error
        except QueueFullError:
            raise self._reject(creator) from None
        except WorkerEndedError:
            raise _worker_ended() from None
        answer = asyncio.wrap_future(ticket)
        try:
            await asyncio.wait({answer}, timeout=self._settings.deadline_seconds)
            # A request that expired in the queue is answered now, not when the requests ahead of it are done.
            if ticket.started_at is None and ticket.cancel():
                raise ExpiredError
            return await answer
        except ExpiredError:
            raise ProblemError(
                HTTPStatus.GATEWAY_TIMEOUT,
                "deadline",
                "The photo was queued for too long and was not captioned; try again.",
                2,
            ) from None
        except NoModelError:
            raise no_model(self._settings) from None
        except WorkerEndedError:
            raise _worker_ended() from None
        except PromptTooLongError as error:
            raise _too_long(error) from error
        except EngineUnavailableError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "engine_away", str(error), error.retry_after) from error
        finally:
            ticket.cancel()


def _display_names(photos: Sequence[bytes]) -> list[str]:
    """Return the names of a post's photos for error messages."""
    if len(photos) == 1:
        return ["The photo"]
    return [f"Photo {number} of {len(photos)}" for number in range(1, len(photos) + 1)]


async def _gather(coroutines: Sequence[Coroutine[None, None, _Result]]) -> list[_Result]:
    """Run *coroutines* concurrently, and return their results. The first error, or a cancellation, cancels the rest."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _too_long(error: PromptTooLongError) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "prompt_too_long", str(error))


def _worker_ended() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "worker_ended", "The service is restarting; try again in some seconds.", 10
    )


def no_model(settings: ServingSettings) -> ProblemError:
    """Return the error of a service that has no model yet."""
    detail = (
        f"{settings.model} is not loaded yet; try again in some seconds, or see the service's log."
        if settings.model
        else "No model is in service yet; promote one, then try again."
    )
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "no_model", detail, 10)
