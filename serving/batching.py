"""Batching: photos that arrive together are captioned together, by one thread, so that the event loop never waits for the model.

A photo joins those that are being written about at the next token, and leaves when its caption is whole or nobody waits for it any longer.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from serving.engine import Engine, Event, Piece, Task, Written
from serving.metrics import BATCH_SIZE, MODEL_ERRORS, QUEUE_DEPTH
from serving.models import Served

_POLL = 0.2

Listener = Callable[[Piece], None]


class QueueFullError(Exception):
    """As many requests wait as may wait."""


class ExpiredError(Exception):
    """The request waited for longer than its deadline, and was not started."""


class NoModelError(Exception):
    """There is no model to answer with."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written, by which model, and how long it took: seconds in the queue, seconds of writing."""

    written: Written
    served: Served
    waited: float
    took: float


class Ticket(Future["Done"]):
    """A place in the queue. Whoever no longer wants the answer cancels it, at any time: writing stops at the next token."""

    def __init__(self, task: Task, key: str, listener: Listener | None) -> None:
        super().__init__()
        self.task = task
        self.key = key
        self.listener = listener
        self.arrived = time.monotonic()
        self.started: float | None = None
        """When writing began, if it has."""

    def answer(self, done: Done) -> None:
        """Hand over the answer, if somebody still waits for it."""
        if self.set_running_or_notify_cancel():
            self.set_result(done)

    def fail(self, error: BaseException) -> None:
        """Tell whoever still waits that there will be no answer."""
        if self.set_running_or_notify_cancel():
            self.set_exception(error)


class Batcher:
    """A bounded queue and the thread that empties it. *choose* returns the model in service for a key; it is asked once a photo."""

    def __init__(
        self, choose: Callable[[str], Served | None], *, max_batch: int, queue_size: int, deadline: float
    ) -> None:
        self._choose = choose
        self._max_batch = max_batch
        self._deadline = deadline
        self._queue: queue.Queue[Ticket] = queue.Queue(queue_size)
        # Of a batch that failed: each is tried once more, alone.
        self._again: deque[Ticket] = deque()
        self._running: dict[Engine, _Running] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, task: Task, key: str = "", listener: Listener | None = None) -> Ticket:
        """Queue a task; *listener* hears, in the batcher's thread, how it grows, if the task asks for that.

        Raises:
            QueueFullError: no place is free.
        """
        ticket = Ticket(task, key, listener)
        try:
            self._queue.put_nowait(ticket)
        except queue.Full:
            raise QueueFullError from None
        QUEUE_DEPTH.set(self._queue.qsize())
        return ticket

    def close(self) -> None:
        """Answer what is queued, then stop."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            tickets = self._next()
            if tickets:
                self._begin(tickets)
            elif not self._running and self._closing.is_set():
                return
            # During a swap, and with a canary, there are two: each in its turn.
            for running in list(self._running.values()):
                self._go_on(running)

    def _next(self) -> list[Ticket]:
        """Return who is to be begun now: those that wait, as far as there is room. Only an idle thread waits for them."""
        if self._again:
            return [] if self._running else [self._again.popleft()]
        tickets: list[Ticket] = []
        running = sum(len(one.tickets) for one in self._running.values())
        room = self._max_batch - running
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
        by_model: dict[Engine, _Running] = {}
        for ticket in tickets:
            ticket.started = time.monotonic()
            served = self._choose(ticket.key)
            if served is None:
                ticket.fail(NoModelError())
                continue
            by_model.setdefault(served.engine, _Running(served, {})).tickets[ticket.task] = ticket
        for engine, new in by_model.items():
            try:
                engine.add(list(new.tickets))
            except Exception as error:  # noqa: BLE001 - whatever happened, those who wait must hear of it
                self._failed(new, error)
                continue
            self._running.setdefault(engine, _Running(new.served, {})).tickets.update(new.tickets)

    def _go_on(self, running: "_Running") -> None:
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
        if not running.tickets:
            del self._running[engine]

    def _failed(self, running: "_Running", error: Exception) -> None:
        """Nobody fails for his company: it may be one photo's fault, or too large a batch for the memory."""
        tickets = list(running.tickets.values())
        if len(tickets) > 1:
            self._again.extend(tickets)
            return
        for ticket in tickets:
            MODEL_ERRORS.labels(running.served.engine.version).inc()
            ticket.fail(error)


@dataclass(frozen=True, slots=True)
class _Running:
    """What is being written by one model."""

    served: Served
    tickets: dict[Task, Ticket]

    def take(self, event: Event) -> None:
        """Hand on what came of a step."""
        task, what = event
        ticket = self.tickets.get(task)
        if ticket is None:
            return
        if isinstance(what, Piece):
            if ticket.listener:
                ticket.listener(what)
            return
        del self.tickets[task]
        if isinstance(what, Exception):
            MODEL_ERRORS.labels(self.served.engine.version).inc()
            ticket.fail(what)
            return
        started = ticket.started or ticket.arrived
        ticket.answer(Done(what, self.served, started - ticket.arrived, time.monotonic() - started))
