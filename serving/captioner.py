"""What a request goes through: decode, queue, write, choose hashtags."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

from PIL.Image import Image

from serving.batching import Batcher, Done, ExpiredError, Listener, NoModelError, QueueFullError
from serving.engine import Task
from serving.metrics import DECODE_TOKENS, STAGE, TOKEN_RATE, TOKENS
from serving.models import Served
from serving.problems import ProblemError
from serving.ranking import rank
from serving.schemas import CaptionAnswer, Options, Timing, Variant
from serving.settings import ServingSettings
from snap2caption.images import ImageError, decode
from snap2caption.post import build_prompt, parse
from snap2caption.vlm import Decoding

_CREATIVE = 0.8
"""The temperature of variants and of captions with a seed."""

_MAX_SIDE = 1344
"""Photos wait in the queue no larger than this: twice the 672 pixels that the largest LLaVA looks at, and 5 MB instead of 150."""

_DECODERS = 2
"""Photos decoded at once. A large one takes some hundred megabytes while it is decoded."""


class Captioner:
    """Captions photos by way of *batcher*; at most as many at once as may wait and be written about."""

    def __init__(self, batcher: Batcher, settings: ServingSettings) -> None:
        self._batcher = batcher
        self._settings = settings
        self._decoders = ThreadPoolExecutor(_DECODERS, "decode")
        self._inside = 0

    def close(self) -> None:
        """Stop decoding."""
        self._decoders.shutdown(cancel_futures=True)

    @property
    def room(self) -> int:
        """How many more photos may come in."""
        return self._settings.capacity - self._inside

    def check_room(self) -> None:
        """Refuse at once where a photo would only be read and decoded to be refused later.

        Raises:
            ProblemError: the service is full.
        """
        if self.room <= 0:
            raise _full()

    async def caption(
        self, data: bytes, options: Options, request_id: str, key: str = "", listener: Listener | None = None
    ) -> CaptionAnswer:
        """Caption one photo. If it is cancelled, writing stops at the next token; before its turn, it costs no compute.

        Args:
            data: the encoded photo.
            options: what the creator asks for.
            request_id: names the answer.
            key: requests with the same key get the same model.
            listener: hears, in another thread, what is written so far.

        Raises:
            ProblemError: the photo is refused, or nobody can answer now.
        """
        self.check_room()
        self._inside += 1
        try:
            return await self._caption(data, options, request_id, key, listener)
        finally:
            self._inside -= 1

    async def _caption(
        self, data: bytes, options: Options, request_id: str, key: str, listener: Listener | None
    ) -> CaptionAnswer:
        started = time.monotonic()
        image = await self._decoded(data)
        decoded = time.monotonic()
        task = Task(image, build_prompt(options.request()), self._decodings(options), stream=listener is not None)
        done = await self._written(task, key, listener)
        ranking = time.monotonic()
        variants = [_variant(text, done, options) for text in done.written.texts]
        ended = time.monotonic()
        timing = {
            "decode": decoded - started,
            "queue": done.waited,
            "first_token": done.written.first_token,
            "generate": done.took,
            "hashtags": ended - ranking,
            "total": ended - started,
        }
        for stage, seconds in timing.items():
            STAGE.labels(stage).observe(seconds)
        TOKENS.inc(done.written.tokens)
        DECODE_TOKENS.observe(done.written.tokens)
        TOKEN_RATE.observe(done.written.tokens / done.took)
        return CaptionAnswer(
            **variants[0].model_dump(),
            alt_text=done.written.description,
            variants=variants,
            request_id=request_id,
            model_version=done.served.engine.version,
            timing=Timing(**{stage: round(1000 * seconds, 1) for stage, seconds in timing.items()}),
        )

    async def _decoded(self, data: bytes) -> Image:
        work = partial(decode, data, max_pixels=self._settings.max_pixels, max_side=_MAX_SIDE)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._decoders, work)
        except ImageError as error:
            status = (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.reason == "too_large" else HTTPStatus.UNPROCESSABLE_ENTITY
            )
            raise ProblemError(status, f"image_{error.reason}", str(error)) from error

    def _decodings(self, options: Options) -> tuple[Decoding, ...]:
        tokens = self._settings.max_new_tokens
        seed = options.seed or 0
        first = Decoding(tokens) if options.seed is None else Decoding(tokens, _CREATIVE, seed=seed)
        return (first, *(Decoding(tokens, _CREATIVE, seed=seed + variant) for variant in range(1, options.variants)))

    async def _written(self, task: Task, key: str, listener: Listener | None) -> Done:
        try:
            ticket = self._batcher.submit(task, key, listener)
        except QueueFullError:
            raise _full() from None
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
        finally:
            ticket.cancel()


def _variant(text: str, done: Done, options: Options) -> Variant:
    post = parse(text)
    about = f"{post.caption}\n{options.location or ''}"
    served: Served = done.served
    chosen = rank(about, post.hashtags, served.hashtags, options.hashtags)
    # A model that wrote nothing but hashtags has still described the photo.
    return Variant(caption=post.caption or done.written.description, hashtags=[f"#{tag}" for tag in chosen])


def _full() -> ProblemError:
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "queue_full", "Too many photos wait already; try again in some seconds.", 2
    )


def no_model() -> ProblemError:
    """Return the refusal of a service that has no model yet."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "no_model", "No model is in service yet; promote one, then try again.", 10
    )
