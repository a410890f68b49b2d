"""Outbox worker: a thread that delivers the outbox to the store, in one process per machine at a time."""

import logging
import math
import threading
import time

from serving.feedback.delivery_lock import DeliveryLock
from serving.feedback.metrics import DELIVERIES, OUTBOX_BYTES, OUTBOX_DEPTH, OUTBOX_OLDEST
from serving.feedback.outbox import Outbox, OutboxDepth, OutboxEntry
from serving.feedback.repository import deliver, erase, list_ids, record_departure
from serving.feedback.request_cache import RequestCache
from serving.feedback.voice_sync import VoiceSync
from serving.state.database import Database, StateError
from snap2caption.store import ObjectStore, StoreError

logger = logging.getLogger(__name__)

_BATCH = 8
"""Entries claimed and loaded at a time: a photo has a few hundred kilobytes."""

_MAX_BACKOFF = 30.0
_POLL_SECONDS = 1.0
"""Interval of checks without a wake-up: another process may have accepted feedback, or stopped delivering."""

_TIDY_SECONDS = 60.0
_CLOSE_SECONDS = 5.0


class OutboxWorker:
    """Delivers the entries of *outbox* to *store*, syncs voices, and deletes what has expired."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        request_cache: RequestCache,
        voice_sync: VoiceSync,
        store: ObjectStore,
        lock: DeliveryLock,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._request_cache = request_cache
        self._voice_sync = voice_sync
        self._store = store
        self._lock = lock
        self._wake = threading.Event()
        self._stopped = threading.Event()
        # A daemon thread: a store that hangs must not block the shutdown. What waits is on the disk.
        self._thread = threading.Thread(target=self._run, name="feedback", daemon=True)
        self._tidied = -math.inf
        self.depth: OutboxDepth | None = None
        """Depth of the outbox at the last check; None before the first one."""

    def start(self) -> None:
        """Start the thread. It also delivers what a killed process left behind."""
        self._thread.start()
        self._wake.set()

    def wake(self) -> None:
        """Wake the thread, because there is a new entry."""
        self._wake.set()

    def close(self) -> None:
        """Stop after the current entry, and wait for it for at most 5 seconds."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        wait = _POLL_SECONDS
        while not self._stopped.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            try:
                self._measure()
                if self._lock.take():
                    self._voice_sync.catch_up()
                    self._tidy()
                    self._deliver_all()
                wait = _POLL_SECONDS
            except (StoreError, StateError) as error:
                DELIVERIES.labels("failed").inc()
                wait = min(2 * wait, _MAX_BACKOFF)
                logger.warning("feedback is waiting for the store (%s); retrying in %.0f s", error, wait)
            except Exception:
                # For example a record that a newer version of the service wrote. If the thread ended here, all
                # feedback would wait, and nobody would notice.
                DELIVERIES.labels("failed").inc()
                wait = min(2 * wait, _MAX_BACKOFF)
                logger.exception("feedback can't be delivered to the store; retrying in %.0f s", wait)
        self._lock.close()

    def _deliver_all(self) -> None:
        # After a failure, and after a kill, this worker still has its last claims.
        self._outbox.release()
        for creator, asked in self._outbox.departures():
            record_departure(self._store, creator, asked)
            for identifier in list_ids(self._store, creator, asked):
                self._outbox.erase(identifier, creator)
            self._outbox.finish_departure(creator, asked)
        while not self._stopped.is_set() and (entries := self._outbox.claim(_BATCH)):
            for entry in entries:
                self._process(entry)
            if any(entry.feedback is None for entry in entries):
                self._database.scrub()
            self._measure()

    def _process(self, entry: OutboxEntry) -> None:
        if entry.feedback is None:
            erase(self._store, entry.creator, entry.id)
        else:
            deliver(self._store, entry.feedback, entry.photo)
        self._outbox.mark_done(entry)
        DELIVERIES.labels("erased" if entry.feedback is None else "stored").inc()

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
        OUTBOX_BYTES.set(depth.size)
