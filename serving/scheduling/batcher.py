"""Dynamic batching: one thread runs the model on all photos in flight, so that the event loop never waits for it.

A photo joins the running batch at the next token. It leaves when its captions are finished, or when it is canceled.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.engines.base import Engine, Event, GenerationChunk, GenerationRequest, GenerationResult
from serving.engines.token_budget import PromptTooLongError
from serving.models.probe import probe
from serving.models.served_model import ServedModel
from serving.observability.metrics import BATCH_SIZE, MODEL_ERRORS, QUEUE_DEPTH
from serving.scheduling.fair_queue import FairQueue
from serving.scheduling.ticket import (
    BatchResult,
    ExpiredError,
    Listener,
    NoModelError,
    QueueFullError,
    Ticket,
    WorkerEndedError,
)
from serving.scheduling.wait_estimator import WaitEstimator

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2

_CLOSE_SECONDS = 10.0
"""How long shutdown waits for the worker. A worker that hangs in the model must not keep the process alive."""


class Batcher:
    """A bounded queue, and the worker thread that runs the model on it.

    *choose* returns the model in service for a key. It is called when a photo starts.

    After a model failed for a photo, it must caption a test picture. If it can't, or after a bug in the worker itself,
    the thread ends: all waiting tickets fail, new ones are rejected, and *give_up* is called.
    """

    def __init__(
        self,
        choose: Callable[[str], ServedModel | None],
        *,
        max_batch: int,
        queue_size: int,
        deadline: float,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._choose = choose
        self._max_batch = max_batch
        self._deadline = deadline
        self._queue = FairQueue[Ticket](queue_size, lambda ticket: ticket.creator)
        # The tickets of a batch that failed: each is retried alone.
        self._retries: deque[Ticket] = deque()
        self._starting: list[Ticket] = []
        self._running: dict[Engine, _RunningBatch] = {}
        self._give_up = give_up
        self._wait_estimator = WaitEstimator()
        self._last_progress = time.monotonic()
        self._ended = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def check(self, task: GenerationRequest, key: str = "") -> None:
        """Check that *task* fits into the context of the model that would answer now. This takes some milliseconds.

        Raises:
            PromptTooLongError: the prompt is too long even without the voice.
        """
        if served := self._choose(key):
            served.engine.fit(task)

    def token_factor(self, key: str = "") -> int:
        """Return how many times the token limit of a caption the model that would answer now may take."""
        served = self._choose(key)
        return served.engine.token_factor if served else 1

    def submit(
        self, task: GenerationRequest, key: str = "", listener: Listener | None = None, creator: str = ""
    ) -> Ticket:
        """Queue a request. The queue is round-robin between creators.

        Args:
            task: the photo and its decoding parameters.
            key: selects the model; requests with the same key get the same model.
            listener: called in the worker thread with each chunk, if the task is streamed.
            creator: the creator's id.

        Raises:
            QueueFullError: the queue is full.
            WorkerEndedError: the worker thread has died.
        """
        if self._ended:
            raise WorkerEndedError
        ticket = Ticket(task, key, listener, creator)
        try:
            self._queue.put_nowait(ticket)
        except queue.Full:
            raise QueueFullError from None
        if self._ended:
            # The worker may have ended just before the ticket was queued.
            self._fail_queued()
        QUEUE_DEPTH.set(self._queue.qsize())
        return ticket

    def close(self) -> None:
        """Finish the queued requests, then stop."""
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether the worker thread has died."""
        return self._ended

    @property
    def seconds_since_progress(self) -> float:
        """Seconds since the last heartbeat of the worker: the duration of the current step of the model."""
        return time.monotonic() - self._last_progress

    def expected_wait(self, photos: int) -> float:
        """Return the seconds that so many queued photos take; 0 as long as no photo had to wait yet."""
        return photos * self._wait_estimator.seconds_per_photo

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException:  # whatever happened, the waiting requests must not hang
            logger.exception("the batcher's worker thread has died; restart the service")
            self._ended = True
            running = [ticket for batch in self._running.values() for ticket in batch.tickets.values()]
            for ticket in (*self._retries, *self._starting, *running):
                if not ticket.done():
                    ticket.fail(WorkerEndedError())
            self._fail_queued()
            self._give_up()

    def _fail_queued(self) -> None:
        while True:
            try:
                ticket = self._queue.get_nowait()
            except queue.Empty:
                return
            ticket.fail(WorkerEndedError())

    def _loop(self) -> None:
        while True:
            self._last_progress = time.monotonic()
            self._starting = self._next_tickets()
            if self._starting:
                self._start(self._starting)
            elif not self._running and self._closing.is_set():
                return
            # During a model swap, and with a canary, two models run in turns.
            for batch in list(self._running.values()):
                self._advance(batch)

    def _next_tickets(self) -> list[Ticket]:
        """Return the tickets to start now, as far as the batch has room. Blocks only while nothing is running."""
        if self._retries:
            return [] if self._running else [self._retries.popleft()]
        tickets: list[Ticket] = []
        running = sum(len(batch.tickets) for batch in self._running.values())
        # An engine that prefills while it decodes gets half a batch more, so that a free place is filled at once.
        reads_ahead = any(batch.served.engine.reads_ahead for batch in self._running.values())
        room = self._max_batch + (self._max_batch // 2 if reads_ahead else 0) - running
        if running and room < self._max_batch // 2:
            # Photos are prefilled in groups: one by one, as places get free, costs a fifth of the throughput.
            return []
        while len(tickets) < room:
            try:
                idle = not tickets and not self._running
                ticket = self._queue.get(timeout=_POLL_SECONDS) if idle else self._queue.get_nowait()
            except queue.Empty:
                break
            if time.monotonic() - ticket.queued_at > self._deadline:
                ticket.fail(ExpiredError())
            elif not ticket.cancelled():
                tickets.append(ticket)
        QUEUE_DEPTH.set(self._queue.qsize())
        return tickets

    def _start(self, tickets: Sequence[Ticket]) -> None:
        by_model: dict[Engine, _RunningBatch] = {}
        for ticket in tickets:
            ticket.started_at = time.monotonic()
            served = self._choose(ticket.key)
            if served is None:
                ticket.fail(NoModelError())
                continue
            by_model.setdefault(served.engine, _RunningBatch(served, {})).tickets[ticket.task] = ticket
        for engine, new in by_model.items():
            try:
                engine.add(list(new.tickets))
            except Exception as error:  # noqa: BLE001 - whatever happened, the waiting requests must not hang
                self._handle_failure(new, error)
                continue
            self._running.setdefault(engine, _RunningBatch(new.served, {})).tickets.update(new.tickets)

    def _advance(self, batch: "_RunningBatch") -> None:
        engine = batch.served.engine
        for task in [task for task, ticket in batch.tickets.items() if ticket.cancelled()]:
            engine.drop(task)
            del batch.tickets[task]
        BATCH_SIZE.observe(len(batch.tickets))
        try:
            events = engine.step()
        except Exception as error:  # noqa: BLE001 - as above
            self._handle_failure(batch, error)
            batch.tickets.clear()
            events = []
        for event in events:
            batch.dispatch(event)
        if self._queue.empty():
            self._wait_estimator.reset()
        else:
            self._wait_estimator.record(sum(isinstance(outcome, GenerationResult) for _, outcome in events))
        if not batch.tickets:
            del self._running[engine]

    def _handle_failure(self, batch: "_RunningBatch", error: Exception) -> None:
        """Retry a failed batch one request at a time.

        One photo may be bad and must not fail the rest, or the batch was too large for the memory.
        """
        tickets = list(batch.tickets.values())
        if len(tickets) > 1:
            self._retries.extend(tickets)
            return
        for ticket in tickets:
            MODEL_ERRORS.labels(batch.served.engine.version).inc()
            ticket.fail(error)
        # Is the photo bad, or the model broken? If the model is running other requests, their outcome will show.
        if self._running.get(batch.served.engine, batch) is batch:
            probe(batch.served.engine)


@dataclass(frozen=True, slots=True)
class _RunningBatch:
    """The tickets that one model is running."""

    served: ServedModel
    tickets: dict[GenerationRequest, Ticket]

    def dispatch(self, event: Event) -> None:
        """Pass an event on to its ticket."""
        task, outcome = event
        ticket = self.tickets.get(task)
        if ticket is None:
            return
        if isinstance(outcome, GenerationChunk):
            if ticket.listener:
                ticket.listener(outcome)
            return
        del self.tickets[task]
        if isinstance(outcome, Exception):
            # A prompt that is too long is not the model's fault: it was checked, but maybe against the previous model.
            if not isinstance(outcome, PromptTooLongError):
                MODEL_ERRORS.labels(self.served.engine.version).inc()
            ticket.fail(outcome)
            return
        started_at = ticket.started_at or ticket.queued_at
        queue_seconds, generate_seconds = started_at - ticket.queued_at, time.monotonic() - started_at
        ticket.complete(BatchResult(outcome, self.served, queue_seconds, generate_seconds))
