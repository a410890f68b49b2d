"""Erasure lane: erases feedback from the store in batches, so that it holds up no feedback of others."""

import logging
from collections.abc import Callable, Sequence

from serving.feedback.delivery.claims import ClaimedDeparture, Claims
from serving.feedback.delivery.lane import Lane
from serving.feedback.delivery.postponed import PostponedEntries
from serving.feedback.metrics import DELIVERIES
from serving.feedback.store.erasure import ErasureRequest, erase
from serving.feedback.store.photo_locks import PhotoLocks
from serving.feedback.store.repository import list_ids, record_departure
from serving.state.database import BusyError, Database, StateError
from snap2caption.store import ObjectStore, StoreError

logger = logging.getLogger(__name__)

_THREADS = 16
"""Requests to the store at a time."""

_BATCH = 64
"""Erasures at a time. A batch takes about a second, and must be done before its claims expire."""


class ErasureLane(Lane):
    """Erases from *store* what *claims* hands out: feedback, and all feedback of creators who left."""

    def __init__(
        self,
        database: Database,
        claims: Claims,
        store: ObjectStore,
        photos: PhotoLocks,
        ended: Callable[[], None],
    ) -> None:
        super().__init__("feedback-erasure", ended, _THREADS)
        self._database = database
        self._claims = claims
        self._store = store
        self._photos = photos
        self._postponed = PostponedEntries()
        self._size = _BATCH

    def work(self) -> None:
        """Erase until nothing waits.

        Raises:
            StoreError: the store is unreachable or refuses.
            StateError: the database fails.
        """
        while not self.stopped:
            departure = self._claims.departure()
            if departure is not None:
                self._expand(departure)
            if not self._erase() and departure is None:
                break

    def _expand(self, departure: ClaimedDeparture) -> None:
        """Queue the erasure of all that a creator has in the store, and do some of what waits in between."""
        try:
            record_departure(self._store, departure.creator, departure.asked)
            for identifiers in list_ids(self._store, departure.creator, departure.asked, self.threads.map):
                if self.stopped:
                    self._claims.release_departure(departure)
                    return
                if identifiers:
                    self._claims.expand(departure, identifiers)
                self._erase()
        except Exception:
            # Others must not wait for this one.
            self._claims.release_departure(departure)
            self._erase()
            raise
        self._claims.finish(departure)

    def _erase(self) -> bool:
        """Erase a batch, and return whether there was one."""
        claimed = self._claims.erasures(self._size, self._postponed.now())
        if claimed:
            self._erase_batch(claimed)
            self._database.scrub()
        return bool(claimed)

    def _erase_batch(self, claimed: Sequence[ErasureRequest]) -> None:
        """Erase feedback at once. What fails by itself is postponed, and holds up no other.

        Where the store fails, batches become smaller, in case that it refuses only one of the objects.
        """
        ids = [one.id for one in claimed]
        try:
            erase(self._store, claimed, self._photos, self.threads.map)
            self._claims.mark_erased(claimed)
        except (StoreError, StateError):
            self._size = max(1, self._size // 8)
            if len(ids) == 1:
                self._postponed.add(ids[0])
            self._claims.release(ids)
            raise
        except Exception as error:
            # For example a pointer that a newer version of the service wrote.
            if len(ids) == 1:
                seconds = self._postponed.add(ids[0])
                if isinstance(error, BusyError):
                    logger.warning("an erasure waits (id %s): %s", ids[0], error)
                else:
                    DELIVERIES.labels("failed").inc()
                    logger.exception("feedback can't be erased (id %s); retrying in %.0f s", ids[0], seconds)
                self._claims.release(ids)
                return
            for one in claimed:
                self._erase_batch([one])
            return
        self._size = min(_BATCH, 2 * self._size)
        self._postponed.forget(ids)
        DELIVERIES.labels("erased").inc(len(ids))
