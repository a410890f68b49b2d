"""Generation of a post: captions its photos through the queue, all by the same model."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from PIL.Image import Image

from serving.engines.base import GenerationRequest
from serving.engines.server_errors import EngineUnavailableError
from serving.engines.token_budget import PromptTooLongError
from serving.http.problems import ProblemError
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
from snap2caption.post import Request
from snap2caption.vlm import Decoding

_Result = TypeVar("_Result")

_MAX_ROUNDS = 3
"""How often the photos of one post are captioned until one model has captioned all of them."""


@dataclass(frozen=True, slots=True)
class PostGenerator:
    """Generates the texts for the photos of one post."""

    batcher: Batcher
    settings: ServingSettings
    reject: Callable[[str], ProblemError]
    """Returns the error for a creator whose photo does not fit into the queue."""
    key: str
    """Requests with the same key get the same model."""
    creator: str

    async def generate(
        self,
        images: Sequence[Image],
        request: Request,
        decodings: tuple[Decoding, ...],
        listener: Listener | None = None,
    ) -> list[BatchResult]:
        """Caption all photos with the same model, even if it is swapped meanwhile.

        Args:
            images: the decoded photos, in the post's order.
            request: what the model is asked for.
            decodings: the decoding parameters of each variant.
            listener: called in another thread with the text so far.

        Raises:
            ProblemError: no caption can be generated now.
        """
        for _ in range(_MAX_ROUNDS):
            tasks = [GenerationRequest(image, request, decodings, stream=listener is not None) for image in images]
            results = await gather([self._run_task(task, listener) for task in tasks])
            if len({result.served.engine.version for result in results}) == 1:
                return results
        raise no_model(self.settings)

    async def _run_task(self, task: GenerationRequest, listener: Listener | None) -> BatchResult:
        try:
            # Counting the tokens of a long prompt takes milliseconds, so it runs in a thread, and before queueing.
            await asyncio.to_thread(self.batcher.check, task, self.key)
            ticket = self.batcher.submit(task, self.key, listener, self.creator)
        except PromptTooLongError as error:
            raise _too_long(error) from error
        except QueueFullError:
            raise self.reject(self.creator) from None
        except WorkerEndedError:
            raise _worker_ended() from None
        answer = asyncio.wrap_future(ticket)
        try:
            await asyncio.wait({answer}, timeout=self.settings.deadline_seconds)
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
            raise no_model(self.settings) from None
        except WorkerEndedError:
            raise _worker_ended() from None
        except PromptTooLongError as error:
            raise _too_long(error) from error
        except EngineUnavailableError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "engine_away", str(error), error.retry_after) from error
        finally:
            ticket.cancel()


async def gather(coroutines: Sequence[Coroutine[None, None, _Result]]) -> list[_Result]:
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
