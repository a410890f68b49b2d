"""Batching: requests that arrive together are captioned together, by one thread, so that the event loop never waits for the model."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from serving.engine import Task, Written
from serving.metrics import BATCH_SIZE, QUEUE_DEPTH
from serving.models import Served

_POLL = 0.2


class QueueFullError(Exception):
    """As many requests wait as may wait."""


class ExpiredError(Exception):
    """The request waited for longer than its deadline, and was not started."""


class NoModelError(Exception):
    """There is no model to answer with."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was written, by which model, and how long it took: seconds in the queue, seconds of the batch."""

    written: Written
    served: Served
    waited: float
    took: float


@dataclass(slots=True)
class _Item:
    task: Task
    arrived: float = field(default_factory=time.monotonic)
    future: "Future[Done]" = field(default_factory=Future)


class Batcher:
    """A bounded queue and the thread that empties it. *current* returns the model in service; it is asked once a batch."""

    def __init__(
        self, current: Callable[[], Served | None], *, max_batch: int, queue_size: int, deadline: float
    ) -> None:
        self._current = current
        self._max_batch = max_batch
        self._deadline = deadline
        self._queue: queue.Queue[_Item] = queue.Queue(queue_size)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> "Future[Done]":
        """Queue a task. A future that is cancelled before its turn costs no compute.

        Raises:
            QueueFullError: no place is free.
        """
        item = _Item(task)
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            raise QueueFullError from None
        QUEUE_DEPTH.set(self._queue.qsize())
        return item.future

    def close(self) -> None:
        """Answer what is queued, then stop."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if batch:
                self._work(batch)
            elif self._closing.is_set():
                return

    def _next_batch(self) -> list[_Item]:
        """Return who is to be served now: those that wait already. While the model is busy, the next batch gathers by itself."""
        batch: list[_Item] = []
        while len(batch) < self._max_batch:
            try:
                item = self._queue.get_nowait() if batch else self._queue.get(timeout=_POLL)
            except queue.Empty:
                break
            if not item.future.set_running_or_notify_cancel():
                continue
            if time.monotonic() - item.arrived > self._deadline:
                item.future.set_exception(ExpiredError())
                continue
            batch.append(item)
        QUEUE_DEPTH.set(self._queue.qsize())
        return batch

    def _work(self, batch: list[_Item]) -> None:
        started = time.monotonic()
        served = self._current()
        BATCH_SIZE.observe(len(batch))
        try:
            if served is None:
                raise NoModelError
            written = served.engine.write([item.task for item in batch])
        except Exception as error:  # noqa: BLE001 - whatever happened, those who wait must hear of it
            if served is not None and len(batch) > 1:
                # It may be one photo's fault, or too large a batch for the memory: nobody fails for his company.
                for item in batch:
                    self._work([item])
            else:
                for item in batch:
                    item.future.set_exception(error)
            return
        took = time.monotonic() - started
        for item, answer in zip(batch, written, strict=True):
            item.future.set_result(Done(answer, served, started - item.arrived, took))
