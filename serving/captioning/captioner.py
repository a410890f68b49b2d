"""Captioning pipeline of a request: admit, decode, generate, rank hashtags, answer."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from PIL.Image import Image

from serving.captioning.answer import build_answer, count_unfamiliar
from serving.captioning.attempts import Attempts, JudgedDraft, corrections, judge, needs_retry
from serving.captioning.content_rules import ContentRules
from serving.captioning.decoding_parameters import caption_decodings, retry_decodings
from serving.captioning.generation import PostGenerator, gather
from serving.captioning.load_shedding import LoadShedder
from serving.captioning.photo_decoder import PhotoDecoder
from serving.captioning.post_processing import compose
from serving.creators import ANONYMOUS
from serving.http.problems import ProblemError
from serving.http.schemas import CaptionAnswer, Options, Part
from serving.models.served_model import ServedModel
from serving.observability.metrics import DECODE_TOKENS, MODEL_SECONDS, STAGE, TOKEN_RATE, TOKENS, UNFAMILIAR
from serving.scheduling.batcher import Batcher
from serving.scheduling.ticket import Listener
from serving.settings import ServingSettings
from snap2caption.hashtags.table import HashtagTable
from snap2caption.post import Request

logger = logging.getLogger(__name__)


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
        self.load = LoadShedder(batcher, settings)
        self._batcher = batcher
        self._settings = settings
        self._rules = rules
        self._table = table
        self._decoder = PhotoDecoder(settings.max_pixels, rules.moderator)

    def close(self) -> None:
        """Stop the decoder threads."""
        self._decoder.close()

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
        with self.load.admit(creator, len(photos)):
            started = time.monotonic()
            names = _display_names(len(photos))
            images = await gather(
                [self._decoder.decode(photo, name) for photo, name in zip(photos, names, strict=True)]
            )
            decoded = time.monotonic()
            request = options.request(saved or ())
            generator = PostGenerator(self._batcher, self._settings, self.load.reject, key, creator)
            # Only text that will be part of the answer may be streamed.
            streamed = listener if len(photos) == 1 and options.regenerate is not Part.HASHTAGS else None
            attempts = await self._attempt(generator, images, options, request, request_id, streamed)
            ranking = time.monotonic()
            chosen = attempts.choose(options)
            table = self._table(chosen[0].results[0].served)
            variants = [compose(judged.draft, table, self._rules.banned, options) for judged in chosen]
            ended = time.monotonic()
            timing = {
                "decode": decoded - started,
                "queue": attempts.queue_seconds,
                "first_token": attempts.first_token_seconds,
                "generate": attempts.generate_seconds,
                "hashtags": ended - ranking,
                "total": ended - started,
            }
            _observe(timing, attempts, chosen)
            return build_answer(
                chosen,
                variants,
                options,
                request,
                usable=bool(attempts.drafts),
                has_corpus=bool(len(table)),
                has_voices=saved is not None,
                request_id=request_id,
                timing=timing,
            )

    async def _attempt(
        self,
        generator: PostGenerator,
        images: Sequence[Image],
        options: Options,
        request: Request,
        request_id: str,
        listener: Listener | None,
    ) -> Attempts:
        """Caption the photos, and once more if no caption can be answered or one does not comply."""
        most_tokens = self._settings.max_new_tokens * self._batcher.token_factor(generator.key)
        results = await generator.generate(images, request, caption_decodings(options, most_tokens), listener)
        # The first check of a language loads its detector, which takes half a second.
        attempts = Attempts([results], await asyncio.to_thread(judge, results, options, request))
        if not needs_retry(attempts.drafts, options):
            return attempts
        logger.info("request %s is generated again: no caption was safe to publish and as requested", request_id)
        corrected = replace(request, corrections=corrections(attempts.drafts, options))
        try:
            # Its text is not streamed: what was streamed before is replaced at the end.
            results = await generator.generate(images, corrected, retry_decodings(options, most_tokens))
        except ProblemError as problem:
            if not attempts.drafts:
                raise
            # A caption that does not comply is better than none.
            logger.info("request %s keeps its first caption (%s)", request_id, problem)
            return attempts
        drafts = await asyncio.to_thread(judge, results, options, request)
        return Attempts([*attempts.results, results], [*attempts.drafts, *drafts])


def _observe(timing: Mapping[str, float], attempts: Attempts, chosen: Sequence[JudgedDraft]) -> None:
    """Record the metrics of a captioned post."""
    results = chosen[0].results
    for stage, seconds in timing.items():
        STAGE.labels(stage).observe(seconds)
    MODEL_SECONDS.labels(results[0].served.engine.version).observe(timing["total"])
    TOKENS.inc(attempts.tokens)
    DECODE_TOKENS.observe(attempts.tokens)
    TOKEN_RATE.observe(attempts.tokens / attempts.generate_seconds)
    UNFAMILIAR.inc(count_unfamiliar([result.generated for result in results]))


def _display_names(photos: int) -> list[str]:
    """Return the names of a post's photos for error messages."""
    return ["The photo"] if photos == 1 else [f"Photo {number} of {photos}" for number in range(1, photos + 1)]
