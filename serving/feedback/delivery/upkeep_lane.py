"""Upkeep lane: measures the outbox, syncs voices, and deletes what has expired."""

import math
import time
from collections.abc import Callable

from serving.feedback.delivery.lane import Lane
from serving.feedback.metrics import OUTBOX_BYTES, OUTBOX_DEPTH, OUTBOX_OLDEST
from serving.feedback.outbox import Outbox, OutboxDepth
from serving.feedback.request_cache import RequestCache
from serving.feedback.voice_sync import VoiceSync
from serving.state.database import Database

_TIDY_SECONDS = 60.0


class UpkeepLane(Lane):
    """Measures the outbox; in the process that *leads*, it also syncs voices and deletes what has expired."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        request_cache: RequestCache,
        voice_sync: VoiceSync,
        leads: Callable[[], bool],
        ended: Callable[[], None],
    ) -> None:
        super().__init__("feedback-upkeep", ended)
        self._database = database
        self._outbox = outbox
        self._request_cache = request_cache
        self._voice_sync = voice_sync
        self._leads = leads
        self._tidied = -math.inf
        self.depth: OutboxDepth | None = None
        """Depth of the outbox at the last check; None before the first one."""

    def work(self) -> None:
        """Do all of it once.

        Raises:
            StateError: the database fails.
        """
        self._measure()
        if self._leads():
            self._voice_sync.catch_up()
            self._tidy()

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
