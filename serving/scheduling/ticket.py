"""Ticket of a queued request: the future of its result, and the errors that it may end with."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from serving.engines.base import GenerationChunk, GenerationRequest, GenerationResult
from serving.models.served_model import ServedModel

Listener = Callable[[GenerationChunk], None]


class QueueFullError(Exception):
    """The queue is full."""


class ExpiredError(Exception):
    """The request was still queued at its deadline, and was not started."""


class NoModelError(Exception):
    """No model is in service."""


class WorkerEndedError(Exception):
    """The worker thread has died. The service must be restarted."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The generated texts, the model that generated them, and the time it took."""

    generated: GenerationResult
    served: ServedModel
    queue_seconds: float
    generate_seconds: float


class Ticket(Future["BatchResult"]):
    """The future result of a queued request. It can be canceled at any time; generation stops at the next token."""

    def __init__(self, task: GenerationRequest, key: str, listener: Listener | None, creator: str) -> None:
        super().__init__()
        self.task = task
        self.key = key
        self.creator = creator
        self.listener = listener
        self.queued_at = time.monotonic()
        self.started_at: float | None = None
        """When generation started; None while it is queued."""

    def complete(self, result: BatchResult) -> None:
        """Set the result, unless the ticket was canceled."""
        if self.set_running_or_notify_cancel():
            self.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Set the error, unless the ticket was canceled."""
        if self.set_running_or_notify_cancel():
            self.set_exception(error)
