"""What a request goes through: decode, check, queue, write, choose hashtags."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TypeVar

from PIL.Image import Image

from serving.captioning.moderation import ModerationUnavailableError, Moderator, load_moderator
from serving.captioning.notices import Degradation, find_notices
from serving.captioning.post_processing import alt_text, compose, drafts, plain
from serving.creators import NOBODY
from serving.engines.base import GenerationRequest
from serving.engines.openai import EngineUnavailableError
from serving.engines.token_budget import PromptTooLongError
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options, Part, Timing
from serving.models.manager import ServedModel
from serving.observability.metrics import DECODE_TOKENS, MODEL_SECONDS, STAGE, TOKEN_RATE, TOKENS
from serving.scheduling.admission import AdmissionControl
from serving.scheduling.batcher import (
    Batcher,
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
from snap2caption.images import WORKING_SIDE, ImageError, decode
from snap2caption.post import Length, Request
from snap2caption.vlm import Decoding

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_Generate = Callable[[Sequence[Image], Request, tuple[Decoding, ...]], Awaitable[list[BatchResult]]]

_CREATIVE = 0.8
"""The temperature of variants and of captions with a seed."""

_SHARES = {Length.SHORT: 0.5, Length.MEDIUM: 0.75, Length.LONG: 1.0, None: 1.0}
"""Of the tokens that a caption may have at most, by the length asked for."""

_AGAIN = 2
"""Captions that are asked for where the first ones can't be shown."""

_ROUNDS = 3
"""How often the photos of one post are written about before they must all have met the same model."""

_FORESEEN = 0.5
"""Of the deadline, as much as a photo may be expected to wait: captions may take twice as long as those before, and who is let in is answered.

With 0.75 one in a hundred was let in and came too late, at ten times as many as can be captioned; the queue is never empty with half either."""

_LONGEST_RETRY = 30
"""Seconds after which a refused client may try again, at most."""

_DECODERS = 2
"""Photos decoded at once. A large one takes up to 800 MB while it is decoded."""


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What the operator does not let through: hashtags, and photos."""

    banned: frozenset[str]
    moderator: Moderator | None

    @classmethod
    def read(cls, settings: ServingSettings) -> "ContentRules":
        """Read what the settings name.

        Raises:
            UserError: the banned hashtags can't be read, or the check of photos can't be loaded.
        """
        return cls(read_banned(settings.banned_hashtags), load_moderator(settings.moderation))


class Captioner:
    """Captions photos by way of *batcher*; at most as many at once as may wait and be written about.

    *table* returns the hashtag table to use beside a model; by default, that of the dataset which the model learned from.
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
        self._decoders = ThreadPoolExecutor(_DECODERS, "decode")
        self._places = AdmissionControl(settings.capacity)

    def close(self) -> None:
        """Stop decoding."""
        self._decoders.shutdown(cancel_futures=True)

    @property
    def inside(self) -> int:
        """How many photos are inside: decoded, waiting, or written about."""
        return self._places.inside

    @property
    def expected_wait(self) -> float:
        """The seconds that one more photo would wait for its turn after all others. Nobody waits while the batch has a place."""
        return self._expected(self.inside)

    def check_room(self, creator: str = NOBODY, photos: int = 1) -> None:
        """Refuse at once where photos would only be read and decoded to be refused later, or would wait for longer than they may.

        Raises:
            ProblemError: the service is full, or others are due what room there is.
        """
        if self.full(creator, photos):
            raise self._turn_away(creator, photos)

    def full(self, creator: str = NOBODY, photos: int = 1) -> bool:
        """Whether so many more photos of a creator would be refused."""
        wait = self._expected(self._places.ahead(creator))
        return not self._places.has_room(creator, photos) or wait > _FORESEEN * self._settings.deadline_seconds

    def _expected(self, ahead: int) -> float:
        return self._batcher.expected_wait(max(0, ahead + 1 - self._settings.max_batch))

    def _turn_away(self, creator: str, photos: int = 1) -> ProblemError:
        # By then those before them are answered. Nobody is to forget that they wanted to try again.
        again = min(_LONGEST_RETRY, max(1, math.ceil(self._batcher.expected_wait(self._places.ahead(creator)))))
        self._places.turn_away(creator, photos, 2 * again)
        detail = "Too many photos wait already; try again in some seconds."
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "queue_full", detail, again)

    async def caption(
        self,
        photos: Sequence[bytes],
        options: Options,
        request_id: str,
        saved: tuple[str, ...] | None = (),
        key: str = "",
        listener: Listener | None = None,
        creator: str = NOBODY,
    ) -> CaptionAnswer:
        """Write one post about one photo or several. If it is canceled, writing stops at the next token; before its turn, it costs no compute.

        Args:
            photos: encoded, in the post's order.
            options: what the creator asked for.
            request_id: names the answer.
            saved: the creator's captions, the newest first; None if they can't be read.
            key: requests with the same key get the same model.
            listener: hears, in another thread, what is written so far; of several photos, nothing, as the caption is chosen when all are written.
            creator: who asks; creators share the places, and take turns.

        Raises:
            ProblemError: a photo is refused, or nobody can answer now.
        """
        self.check_room(creator, len(photos))
        self._places.take(creator, len(photos))
        try:
            generate = partial(self._generate, options, key, creator, listener)
            return await self._make_post(photos, options, request_id, saved, generate)
        finally:
            self._places.leave(creator, len(photos))

    async def _make_post(
        self,
        photos: Sequence[bytes],
        options: Options,
        request_id: str,
        saved: tuple[str, ...] | None,
        generate: _Generate,
    ) -> CaptionAnswer:
        started = time.monotonic()
        images = await _all(
            [self._decode_in_pool(photo, name) for photo, name in zip(photos, _names(photos), strict=True)]
        )
        decoded = time.monotonic()
        request = options.request(saved or ())
        done = await generate(images, request, self._decodings(options))
        usable = drafts([one.written for one in done], options)
        waited, took = max(one.waited for one in done), max(one.took for one in done)
        if not usable:
            logger.info("request %s is written again: nothing that can be shown", request_id)
            done = await generate(images, request, self._other_decodings(options))
            usable = drafts([one.written for one in done], options)
            waited += max(one.waited for one in done)
            took += max(one.took for one in done)
        written, served = [one.written for one in done], done[0].served
        ranking = time.monotonic()
        table = self._table(served)
        chosen = usable[: options.variants] or [plain(written, options)]
        variants = [compose(draft, table, self._rules.banned, options) for draft in chosen]
        ended = time.monotonic()
        timing = {
            "decode": decoded - started,
            "queue": waited,
            "first_token": min(one.first_token for one in written),
            "generate": took,
            "hashtags": ended - ranking,
            "total": ended - started,
        }
        for stage, seconds in timing.items():
            STAGE.labels(stage).observe(seconds)
        MODEL_SECONDS.labels(served.engine.version).observe(timing["total"])
        tokens = sum(one.tokens for one in written)
        TOKENS.inc(tokens)
        DECODE_TOKENS.observe(tokens)
        TOKEN_RATE.observe(tokens / took)
        met = {
            # Of a model that never met a voice, another notice says that none of it is read.
            Degradation.VOICE_SHORTENED: any(one.voice_shortened for one in written)
            and served.card.follows("voice", served.version.prompts),
            Degradation.VOICE_AWAY: saved is None,
            Degradation.GENERAL_HASHTAGS: not len(table) and options.regenerate is not Part.CAPTION,
        }
        troubles = [trouble for trouble, is_met in met.items() if is_met]
        descriptions = [alt_text(one.description, variants, options) for one in written]
        return CaptionAnswer(
            **variants[0].model_dump(),
            alt_text=descriptions[0],
            alt_texts=descriptions,
            variants=variants,
            notices=find_notices(
                options, request, served, variants, descriptions, usable=bool(usable), troubles=troubles
            ),
            request_id=request_id,
            model_version=served.engine.version,
            confidence=next(iter(written[0].confidences), None),
            timing=Timing(**{stage: round(1000 * seconds, 1) for stage, seconds in timing.items()}),
        )

    async def _decode_in_pool(self, data: bytes, name: str) -> Image:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._decoders, self._decode, data, name)
        except ImageError as error:
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.reason == "too_large" else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            raise ProblemError(status, f"image_{error.reason}", str(error)) from error
        except ModerationUnavailableError as error:
            logger.warning("photos can't be checked: %s", error)
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, "moderation", "The photo can't be checked now; try again later.", 10
            ) from error

    def _decode(self, data: bytes, name: str) -> Image:
        photo = decode(data, max_pixels=self._settings.max_pixels, max_side=WORKING_SIDE, name=name)
        if self._rules.moderator and (reason := self._rules.moderator(photo)):
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "image_not_allowed",
                f"{name} is not captioned ({reason}); send another one.",
            )
        return photo

    def _decodings(self, options: Options) -> tuple[Decoding, ...]:
        tokens = self._tokens(options)
        seed = options.seed or 0
        # What is written anew is not to be the likeliest caption once more.
        likeliest = options.seed is None and options.regenerate is None
        first = Decoding(tokens) if likeliest else Decoding(tokens, _CREATIVE, seed=seed)
        # One caption serves all lists of hashtags: there is no other to choose from.
        variants = 1 if options.regenerate is Part.HASHTAGS else options.variants
        return (first, *(Decoding(tokens, _CREATIVE, seed=seed + variant) for variant in range(1, variants)))

    def _other_decodings(self, options: Options) -> tuple[Decoding, ...]:
        first = (options.seed or 0) + options.variants
        return tuple(Decoding(self._tokens(options), _CREATIVE, seed=first + other) for other in range(_AGAIN))

    def _tokens(self, options: Options) -> int:
        return round(self._settings.max_new_tokens * _SHARES[options.length])

    async def _generate(
        self,
        options: Options,
        key: str,
        creator: str,
        listener: Listener | None,
        images: Sequence[Image],
        request: Request,
        decodings: tuple[Decoding, ...],
    ) -> list[BatchResult]:
        """Write about all photos of one post, by the same model even where another takes its place meanwhile."""
        # What is streamed must be what is answered.
        heard = listener if len(images) == 1 and options.regenerate is not Part.HASHTAGS else None
        for _ in range(_ROUNDS):
            tasks = [GenerationRequest(image, request, decodings, stream=heard is not None) for image in images]
            done = await _all([self._run_task(task, key, creator, heard) for task in tasks])
            if len({one.served.engine.version for one in done}) == 1:
                return done
        raise no_model()

    async def _run_task(
        self, task: GenerationRequest, key: str, creator: str, listener: Listener | None
    ) -> BatchResult:
        try:
            # In a thread, and before it takes a place in the queue: counting the tokens of a long prompt takes milliseconds.
            await asyncio.to_thread(self._batcher.check, task, key)
            ticket = self._batcher.submit(task, key, listener, creator)
        except PromptTooLongError as error:
            raise _too_long(error) from error
        except QueueFullError:
            raise self._turn_away(creator) from None
        except WorkerEndedError:
            raise _ended() from None
        answer = asyncio.wrap_future(ticket)
        try:
            await asyncio.wait({answer}, timeout=self._settings.deadline_seconds)
            # Who waited too long hears of it now, not when those before him are done.
            if ticket.started is None and ticket.cancel():
                raise ExpiredError
            return await answer
        except ExpiredError:
            raise ProblemError(
                HTTPStatus.GATEWAY_TIMEOUT,
                "deadline",
                "The photo waited for too long and was not captioned; try again.",
                2,
            ) from None
        except NoModelError:
            raise no_model() from None
        except WorkerEndedError:
            raise _ended() from None
        except PromptTooLongError as error:
            raise _too_long(error) from error
        except EngineUnavailableError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "engine_away", str(error), 5) from error
        finally:
            ticket.cancel()


def _names(photos: Sequence[bytes]) -> list[str]:
    """Return what refusals call each photo of a post."""
    if len(photos) == 1:
        return ["The photo"]
    return [f"Photo {number} of {len(photos)}" for number in range(1, len(photos) + 1)]


async def _all(work: Sequence[Coroutine[None, None, _Result]]) -> list[_Result]:
    """Return the results of *work*, done side by side. The first failure, or being canceled, ends the rest."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _too_long(error: PromptTooLongError) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "prompt_too_long", str(error))


def _ended() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "worker_ended", "The service starts again; try again in some seconds.", 10
    )


def no_model() -> ProblemError:
    """Return the refusal of a service that has no model yet."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "no_model", "No model is in service yet; promote one, then try again.", 10
    )
