"""Delivery lane: puts feedback into the store, several at a time."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial

from serving.feedback.delivery.claims import ClaimedFeedback, Claims
from serving.feedback.delivery.lane import Lane
from serving.feedback.delivery.postponed import PostponedEntries
from serving.feedback.metrics import DELIVERIES
from serving.feedback.store.delivery import deliver
from serving.feedback.store.photo_locks import PhotoLocks
from serving.feedback.store.recent_photos import RecentPhotos
from serving.state.database import BusyError, StateError
from snap2caption.feedback import Feedback
from snap2caption.store import ObjectStore, SourceError, StoreError

logger = logging.getLogger(__name__)

THREADS = 8
"""Feedback that is put at a time. A delivery is six requests, one after the other. More threads than this make
each slower, since they take turns with Python's lock.
"""

_HELD = 48
"""Feedback that is claimed and not done: so much that no thread waits for work while others' is marked as done. A photo
has a few hundred kilobytes.
"""

_CLAIMED = 16
"""The least feedback that is claimed at a time."""

_GATHER_SECONDS = 0.1
"""How long deliveries are gathered, to be marked as done by one commit. The threads have more to do meanwhile."""


class DeliveryLane(Lane):
    """Delivers the feedback that *claims* hands out to *store*.

    There is one entry for a feedback, and it is claimed until it is done. So nothing happens to a feedback in another
    order than it was requested, although deliveries overlap.
    """

    def __init__(self, claims: Claims, store: ObjectStore, photos: PhotoLocks, ended: Callable[[], None]) -> None:
        super().__init__("feedback-delivery", ended, THREADS)
        self._claims = claims
        self._store = store
        self._photos = photos
        self._recent = RecentPhotos()
        self._postponed = PostponedEntries()
        self._unreleased: list[str] = []

    def work(self) -> None:
        """Deliver until nothing waits.

        Raises:
            StoreError: the store is unreachable or refuses.
            StateError: the database fails.
        """
        self._release([])
        running: dict[Future[None], str] = {}
        try:
            self._deliver_all(running)
        finally:
            for future in running:
                future.cancel()
            wait(running)
            self._release(list(running.values()))

    def _deliver_all(self, running: dict[Future[None], str]) -> None:
        failure: BaseException | None = None
        while True:
            if self.stopped or failure:
                for future in running:
                    future.cancel()
            elif (room := _HELD - len(running)) >= _CLAIMED:
                for one in self._claims.feedback(room, [*self._postponed.now(), *running.values()]):
                    running[self.threads.submit(partial(self._deliver, one))] = one.id
            if not running:
                break
            wait(running, return_when=FIRST_COMPLETED)
            done, _ = wait(running, _GATHER_SECONDS)
            stored: list[str] = []
            returned: list[str] = []
            for future in done:
                identifier = running[future]
                error = None if future.cancelled() else future.exception()
                (returned if error or future.cancelled() else stored).append(identifier)
                if error and _is_passing(error):
                    failure = error
                if error:
                    self._postpone(identifier, error)
            if stored:
                self._claims.mark_stored(stored)
                self._postponed.forget(stored)
                DELIVERIES.labels("stored").inc(len(stored))
            if returned:
                self._claims.release(returned)
            for future in done:
                del running[future]
        if failure:
            raise failure

    def _deliver(self, claimed: ClaimedFeedback) -> None:
        feedback = Feedback.model_validate_json(claimed.record)
        deliver(self._store, feedback, claimed.photo, self._photos, self._recent)

    def _postpone(self, identifier: str, error: BaseException) -> None:
        seconds = self._postponed.add(identifier)
        if isinstance(error, BusyError):
            logger.warning("feedback waits (id %s): %s", identifier, error)
        elif not _is_passing(error):
            # For example a record that a newer version of the service wrote: another replica may know it.
            DELIVERIES.labels("failed").inc()
            logger.error(
                "feedback can't be delivered to the store (id %s); retrying in %.0f s",
                identifier,
                seconds,
                exc_info=error,
            )

    def _release(self, identifiers: Sequence[str]) -> None:
        """Give entries back, now or once the database works again."""
        self._unreleased += identifiers
        if not self._unreleased:
            return
        try:
            self._claims.release(self._unreleased)
        except StateError as error:
            logger.warning("claims can't be released now (%s)", error)
        else:
            self._unreleased.clear()


def _is_passing(error: BaseException) -> bool:
    """Return whether the store or the database failed, and not the one delivery."""
    return isinstance(error, StoreError | StateError) and not isinstance(error, SourceError)
