"""Lane: a thread for one kind of work on the outbox, so that what is slow or fails delays nothing of another kind."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from serving.feedback.daemon_threads import DaemonThreads
from serving.feedback.metrics import DELIVERIES
from serving.state.database import StateError
from snap2caption.store import StoreError

logger = logging.getLogger(__name__)

_MAX_BACKOFF = 30.0
_POLL_SECONDS = 1.0
"""Interval of checks without a wake-up: another process may have accepted feedback, or stopped delivering."""


class Lane(ABC):
    """Calls `work` when it is woken, and every second. After a failure, it waits for up to half a minute."""

    def __init__(self, name: str, ended: Callable[[], None], threads: int = 0) -> None:
        """Make the thread.

        Args:
            name: the thread's name.
            ended: called when the thread has ended.
            threads: how many more threads it has for requests to the store.
        """
        self.threads = DaemonThreads(name, threads)
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._ended = ended
        # A daemon thread: a store that hangs must not block the shutdown. What waits is on the disk.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """Do what there is to do, or until `stopped`."""

    @property
    def stopped(self) -> bool:
        """Whether the thread shall end."""
        return self._stopped.is_set()

    def start(self) -> None:
        """Start the thread, and do what there is to do."""
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Wake the thread, because there is something to do."""
        self._wake.set()

    def stop(self) -> None:
        """Have the thread end after what it does at the moment."""
        self._stopped.set()
        self._wake.set()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, for at most *seconds*."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        with self.threads:
            self._work_until_stopped()
        self._ended()

    def _work_until_stopped(self) -> None:
        wait = _POLL_SECONDS
        while not self.stopped:
            self._wake.wait(wait)
            self._wake.clear()
            try:
                self.work()
                wait = _POLL_SECONDS
            except (StoreError, StateError) as error:
                DELIVERIES.labels("failed").inc()
                wait = min(2 * wait, _MAX_BACKOFF)
                logger.warning("feedback is waiting for the store (%s); retrying in %.0f s", error, wait)
            except Exception:
                # If the thread ended here, all feedback would wait, and nobody would notice.
                DELIVERIES.labels("failed").inc()
                wait = min(2 * wait, _MAX_BACKOFF)
                logger.exception("feedback can't be delivered to the store; retrying in %.0f s", wait)
