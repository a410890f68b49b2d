"""Batching: photos that arrive together are captioned together, by one thread, so that the event loop never waits for the model.

A photo joins those that are being written about at the next token, and leaves when its caption is whole or nobody waits for it any longer.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from serving.engines.base import Engine, Event, GenerationChunk, GenerationRequest, GenerationResult
from serving.engines.token_budget import PromptTooLongError
from serving.models.manager import ServedModel, probe
from serving.observability.metrics import BATCH_SIZE, MODEL_ERRORS, QUEUE_DEPTH
from serving.scheduling.fair_queue import FairQueue
from serving.scheduling.wait_estimator import WaitEstimator

logger = logging.getLogger(__name__)

_POLL = 0.2

_CLOSE_SECONDS = 10.0
"""A worker that does not come back from the model must not keep the process from ending."""

Listener = Callable[[GenerationChunk], None]


class QueueFullError(Exception):
    """As many requests wait as may wait."""


class ExpiredError(Exception):
    """The request waited for longer than its deadline, and was not started."""


class NoModelError(Exception):
    """There is no model to answer with."""


class WorkerEndedError(Exception):
    """Nothing is written any more, until the service is started again."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What was written, by which model, and how long it took: seconds in the queue, seconds of writing."""

    written: GenerationResult
    served: ServedModel
    waited: float
    took: float


class Ticket(Future["BatchResult"]):
    """A place in the queue. Whoever no longer wants the answer cancels it, at any time: writing stops at the next token."""

    def __init__(self, task: GenerationRequest, key: str, listener: Listener | None, creator: str) -> None:
        super().__init__()
        self.task = task
        self.key = key
        self.creator = creator
        self.listener = listener
        self.arrived = time.monotonic()
        self.started: float | None = None
        """When writing began, if it has."""

    def answer(self, done: BatchResult) -> None:
        """Hand over the answer, if somebody still waits for it."""
        if self.set_running_or_notify_cancel():
            self.set_result(done)

    def fail(self, error: BaseException) -> None:
        """Tell whoever still waits that there will be no answer."""
        if self.set_running_or_notify_cancel():
            self.set_exception(error)


class Batcher:
    """A bounded queue and the thread that empties it. *choose* returns the model in service for a key; a photo is begun by what it returns then.

    A model that fails for a photo must caption a test picture. If it can't, or at a fault of our own, the thread ends: all who wait hear of it,
    nobody is let in any more, and *give_up* is called.
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
        # Of a batch that failed: each is tried once more, alone.
        self._again: deque[Ticket] = deque()
        self._beginning: list[Ticket] = []
        self._running: dict[Engine, _RunningBatch] = {}
        self._give_up = give_up
        self._pace = WaitEstimator()
        self._turned = time.monotonic()
        self._ended = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def check(self, task: GenerationRequest, key: str = "") -> None:
        """Check that the model which would answer now can read *task*. It may take some milliseconds.

        Raises:
            PromptTooLongError: it can't.
        """
        if served := self._choose(key):
            served.engine.fit(task)

    def submit(
        self, task: GenerationRequest, key: str = "", listener: Listener | None = None, creator: str = ""
    ) -> Ticket:
        """Queue a task; *listener* hears, in the batcher's thread, how it grows, if the task asks for that. Creators take turns.

        Raises:
            QueueFullError: no place is free.
            WorkerEndedError: nobody empties the queue any more.
        """
        if self._ended:
            raise WorkerEndedError
        ticket = Ticket(task, key, listener, creator)
        try:
            self._queue.put_nowait(ticket)
        except queue.Full:
            raise QueueFullError from None
        if self._ended:
            # It may have ended just before the ticket was there.
            self._fail_queued()
        QUEUE_DEPTH.set(self._queue.qsize())
        return ticket

    def close(self) -> None:
        """Answer what is queued, then stop."""
        self._closing.set()
        self._thread.join(_CLOSE_SECONDS)

    @property
    def ended(self) -> bool:
        """Whether the thread has ended by a fault."""
        return self._ended

    @property
    def silence(self) -> float:
        """Seconds since the thread was last seen: as long as the model has been at one token, or at reading a batch of photos."""
        return time.monotonic() - self._turned

    def expected_wait(self, photos: int) -> float:
        """Return the seconds that so many photos, which wait already, take; 0 while nobody has had to wait yet."""
        return photos * self._pace.seconds

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException:  # whatever happened, those who wait must hear of it
            logger.exception("the model's worker has ended")
            self._ended = True
            running = [ticket for one in self._running.values() for ticket in one.tickets.values()]
            for ticket in (*self._again, *self._beginning, *running):
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
            self._turned = time.monotonic()
            self._beginning = self._next_tickets()
            if self._beginning:
                self._begin(self._beginning)
            elif not self._running and self._closing.is_set():
                return
            # During a swap, and with a canary, there are two: each in its turn.
            for running in list(self._running.values()):
                self._go_on(running)

    def _next_tickets(self) -> list[Ticket]:
        """Return who is to be begun now: those that wait, as far as there is room. Only an idle thread waits for them."""
        if self._again:
            return [] if self._running else [self._again.popleft()]
        tickets: list[Ticket] = []
        running = sum(len(one.tickets) for one in self._running.values())
        # Who can read beside writing is given half a batch more: whoever has been read takes a place as soon as it is free.
        ahead = self._max_batch // 2 if any(one.served.engine.reads_ahead for one in self._running.values()) else 0
        room = self._max_batch + ahead - running
        if running and room < self._max_batch // 2:
            # Photos are read together: one by one, as places get free, costs a fifth of what can be written.
            return []
        while len(tickets) < room:
            try:
                idle = not tickets and not self._running
                ticket = self._queue.get(timeout=_POLL) if idle else self._queue.get_nowait()
            except queue.Empty:
                break
            if time.monotonic() - ticket.arrived > self._deadline:
                ticket.fail(ExpiredError())
            elif not ticket.cancelled():
                tickets.append(ticket)
        QUEUE_DEPTH.set(self._queue.qsize())
        return tickets

    def _begin(self, tickets: Sequence[Ticket]) -> None:
        by_model: dict[Engine, _RunningBatch] = {}
        for ticket in tickets:
            ticket.started = time.monotonic()
            served = self._choose(ticket.key)
            if served is None:
                ticket.fail(NoModelError())
                continue
            by_model.setdefault(served.engine, _RunningBatch(served, {})).tickets[ticket.task] = ticket
        for engine, new in by_model.items():
            try:
                engine.add(list(new.tickets))
            except Exception as error:  # noqa: BLE001 - whatever happened, those who wait must hear of it
                self._failed(new, error)
                continue
            self._running.setdefault(engine, _RunningBatch(new.served, {})).tickets.update(new.tickets)

    def _go_on(self, running: "_RunningBatch") -> None:
        engine = running.served.engine
        for task in [task for task, ticket in running.tickets.items() if ticket.cancelled()]:
            engine.drop(task)
            del running.tickets[task]
        BATCH_SIZE.observe(len(running.tickets))
        try:
            events = engine.step()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(running, error)
            running.tickets.clear()
            events = []
        for event in events:
            running.take(event)
        if self._queue.empty():
            self._pace.rest()
        else:
            self._pace.answered(sum(isinstance(what, GenerationResult) for _, what in events))
        if not running.tickets:
            del self._running[engine]

    def _failed(self, running: "_RunningBatch", error: Exception) -> None:
        """Try each of a batch that failed once more, alone: it may be one photo's fault, or too large a batch for the memory."""
        tickets = list(running.tickets.values())
        if len(tickets) > 1:
            self._again.extend(tickets)
            return
        for ticket in tickets:
            MODEL_ERRORS.labels(running.served.engine.version).inc()
            ticket.fail(error)
        # The photo's fault, or the model's? One that is still writing about others will tell by those.
        if self._running.get(running.served.engine, running) is running:
            probe(running.served.engine)


@dataclass(frozen=True, slots=True)
class _RunningBatch:
    """What is being written by one model."""

    served: ServedModel
    tickets: dict[GenerationRequest, Ticket]

    def take(self, event: Event) -> None:
        """Hand on what came of a step."""
        task, what = event
        ticket = self.tickets.get(task)
        if ticket is None:
            return
        if isinstance(what, GenerationChunk):
            if ticket.listener:
                ticket.listener(what)
            return
        del self.tickets[task]
        if isinstance(what, Exception):
            # Which model it meets is known only now: another may have taken the place of the one that it was checked for.
            if not isinstance(what, PromptTooLongError):
                MODEL_ERRORS.labels(self.served.engine.version).inc()
            ticket.fail(what)
            return
        started = ticket.started or ticket.arrived
        ticket.answer(BatchResult(what, self.served, started - ticket.arrived, time.monotonic() - started))
