"""Outbox worker: threads that empty the outbox into the store, in one process per machine at a time."""

import threading
import time

from serving.feedback.delivery.claims import Claims
from serving.feedback.delivery.delivery_lane import DeliveryLane
from serving.feedback.delivery.delivery_lock import DeliveryLock
from serving.feedback.delivery.erasure_lane import ErasureLane
from serving.feedback.delivery.lane import Lane
from serving.feedback.delivery.upkeep_lane import UpkeepLane
from serving.feedback.outbox import Outbox, OutboxDepth
from serving.feedback.request_cache import RequestCache
from serving.feedback.store.photo_locks import PhotoLocks
from serving.feedback.voice_sync import VoiceSync
from serving.state.database import Database
from snap2caption.store import ObjectStore

_CLOSE_SECONDS = 5.0


class OutboxWorker:
    """Delivers and erases what waits in *database*, syncs voices, and deletes what has expired.

    Each of three lanes has its own thread, and uses one connection to the database at a time. Locks of photos have
    another one.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        request_cache: RequestCache,
        voice_sync: VoiceSync,
        store: ObjectStore,
        lock: DeliveryLock,
    ) -> None:
        self._lock = lock
        self._leads = False
        self._running = 0
        self._counting = threading.Lock()
        self._claims, photos = Claims(database, lock.worker), PhotoLocks(database)
        self._delivery = DeliveryLane(self._claims, store, photos, self._ended)
        self._erasure = ErasureLane(database, self._claims, store, photos, self._ended)
        self._upkeep = UpkeepLane(database, outbox, request_cache, voice_sync, self._lead, self._ended)

    @property
    def depth(self) -> OutboxDepth | None:
        """Depth of the outbox at the last check; None before the first one."""
        return self._upkeep.depth

    def start(self) -> None:
        """Start the threads. They also deliver what a killed process left behind."""
        self._start(self._upkeep)

    def wake(self) -> None:
        """Wake the threads, because there is a new entry."""
        self._delivery.wake()
        self._erasure.wake()

    def close(self) -> None:
        """Stop after the current entries, and wait for them for at most 5 seconds."""
        lanes = (self._upkeep, self._delivery, self._erasure)
        for lane in lanes:
            lane.stop()
        deadline = time.monotonic() + _CLOSE_SECONDS
        for lane in lanes:
            lane.join(max(0.0, deadline - time.monotonic()))

    def _lead(self) -> bool:
        """Return whether this process delivers for its machine: whether it has the lock, which it takes if it is free."""
        if not self._leads and self._lock.take():
            # The process that had it before may have been killed.
            self._claims.release_all()
            self._leads = True
            self._start(self._delivery)
            self._start(self._erasure)
        return self._leads

    def _start(self, lane: Lane) -> None:
        with self._counting:
            self._running += 1
        lane.start()

    def _ended(self) -> None:
        with self._counting:
            self._running -= 1
            if not self._running:
                self._lock.close()
