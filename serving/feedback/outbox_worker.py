"""Bringing what waits to the store, in a thread of its own: one process of a machine at a time."""

import fcntl
import logging
import math
import threading
import time
from pathlib import Path
from typing import BinaryIO

from serving.feedback.database import Database, DiskError
from serving.feedback.metrics import DELIVERIES, OUTBOX_DEPTH, OUTBOX_OLDEST
from serving.feedback.outbox import Outbox, OutboxDepth, OutboxEntry
from serving.feedback.repository import deliver, erase, note_departure, of_creator
from serving.feedback.request_cache import RequestCache
from serving.feedback.voice_sync import VoiceSync
from snap2caption.store import ObjectStore, StoreError

logger = logging.getLogger(__name__)

_AT_ONCE = 8
"""Feedback taken from the disk at a time: photos are some hundred kilobytes each."""

_LONGEST_WAIT = 30.0
_TICK = 1.0
"""Seconds after which it looks by itself: another process may have accepted something, or stopped delivering."""

_TIDY_SECONDS = 60.0
_CLOSE_SECONDS = 5.0


class OutboxWorker:
    """Does in *store* what waits in *outbox*, and removes what has expired."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        request_cache: RequestCache,
        voice_sync: VoiceSync,
        store: ObjectStore,
        lock: Path,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._request_cache = request_cache
        self._voice_sync = voice_sync
        self._store = store
        self._lock = lock
        self._wake = threading.Event()
        self._stopped = threading.Event()
        # A daemon: a store that does not answer must not hold up the end; what waits is on the disk.
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        self._tidied = -math.inf
        self.depth: OutboxDepth | None = None
        """What waited when it last looked; None before it did."""

    def start(self) -> None:
        """Begin, with what a killed process left."""
        self._thread.start()
        self._wake.set()

    def wake(self) -> None:
        """Say that something waits."""
        self._wake.set()

    def close(self) -> None:
        """Stop after what is being done."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        with self._lock.open("wb") as lock:
            wait = _TICK
            while not self._stopped.is_set():
                self._wake.wait(wait)
                self._wake.clear()
                try:
                    self._measure()
                    if is_ours(lock):
                        self._voice_sync.catch_up()
                        self._tidy()
                        self._deliver()
                    wait = _TICK
                except (StoreError, DiskError) as error:
                    DELIVERIES.labels("failed").inc()
                    wait = min(2 * wait, _LONGEST_WAIT)
                    logger.warning("feedback waits for the store (%s); trying again in %.0f s", error, wait)
                except Exception:
                    # Such as a record that a newer version of the service wrote. A thread that ended would hold up all of it, unseen.
                    DELIVERIES.labels("failed").inc()
                    wait = min(2 * wait, _LONGEST_WAIT)
                    logger.exception("feedback can't be brought to the store; trying again in %.0f s", wait)

    def _deliver(self) -> None:
        for creator, asked in self._outbox.leaving():
            note_departure(self._store, creator, asked)
            for identifier in of_creator(self._store, creator, asked):
                self._outbox.erase(identifier, creator)
            self._outbox.left(creator, asked)
        while not self._stopped.is_set() and (waiting := self._outbox.waiting(_AT_ONCE)):
            for one in waiting:
                self._do(one)
            if any(one.feedback is None for one in waiting):
                self._database.scrub()
            self._measure()

    def _do(self, one: OutboxEntry) -> None:
        if one.feedback is None:
            erase(self._store, one.creator, one.id)
        else:
            deliver(self._store, one.feedback, one.photo)
        self._outbox.done(one)
        DELIVERIES.labels("erased" if one.feedback is None else "stored").inc()

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        self._outbox.expire()
        self._request_cache.expire()
        self._database.tidy()

    def _measure(self) -> None:
        self.depth = depth = self._outbox.depth()
        OUTBOX_DEPTH.labels("feedback").set(depth.feedback)
        OUTBOX_DEPTH.labels("erasure").set(depth.erasures)
        OUTBOX_OLDEST.set(depth.oldest)


def is_ours(lock: BinaryIO) -> bool:
    """Whether this process is the one that delivers; the system drops the lock of one that was killed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
