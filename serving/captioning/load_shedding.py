"""Load shedding: rejects requests at once if their photos would wait too long."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from serving.creators import ANONYMOUS
from serving.http.problems import ProblemError
from serving.scheduling.admission import AdmissionControl
from serving.scheduling.batcher import Batcher
from serving.settings import ServingSettings

_MAX_EXPECTED_WAIT = 0.5
"""The share of the deadline that a photo may be expected to wait; with a longer wait it is rejected.

Captions may then take twice as long as those before, and every admitted photo is still answered. With 0.75, one in a
hundred admitted photos missed its deadline at ten times the capacity. The queue is never empty with 0.5 either.
"""

_MAX_RETRY_AFTER = 30
"""The longest ``Retry-After`` of a rejected client, in seconds."""


class LoadShedder:
    """Decides whether more photos fit into the service, by its free places and the expected wait."""

    def __init__(self, batcher: Batcher, settings: ServingSettings) -> None:
        self._batcher = batcher
        self._settings = settings
        self._admission = AdmissionControl(settings.capacity)

    @property
    def in_flight(self) -> int:
        """The number of photos that are being decoded, are queued, or are being captioned."""
        return self._admission.in_flight

    @property
    def expected_wait(self) -> float:
        """The seconds that one more photo would wait behind all others; 0 while the batch has a free place."""
        return self._expected_wait_behind(self.in_flight)

    def check_room(self, creator: str = ANONYMOUS, photos: int = 1) -> None:
        """Reject a request before its photos are read and decoded, if they would be rejected later.

        Raises:
            ProblemError: the service is full, its free places are reserved for others, or the wait is too long.
        """
        if self.is_full(creator, photos):
            raise self.reject(creator, photos)

    @contextmanager
    def admit(self, creator: str, photos: int) -> Iterator[None]:
        """Take places for a request's photos as long as the context lasts.

        Raises:
            ProblemError: as in `check_room`.
        """
        self.check_room(creator, photos)
        self._admission.acquire(creator, photos)
        try:
            yield
        finally:
            self._admission.release(creator, photos)

    def is_full(self, creator: str = ANONYMOUS, photos: int = 1) -> bool:
        """Whether so many more photos of a creator would be rejected."""
        wait = self._expected_wait_behind(self._admission.photos_ahead(creator))
        too_long = wait > _MAX_EXPECTED_WAIT * self._settings.deadline_seconds
        return not self._admission.has_room(creator, photos) or too_long

    def _expected_wait_behind(self, ahead: int) -> float:
        return self._batcher.expected_wait(max(0, ahead + 1 - self._settings.max_batch))

    def reject(self, creator: str, photos: int = 1) -> ProblemError:
        """Return the error of a rejected request, and reserve places for its creator's next try."""
        # The photos ahead are answered by then. The reservation lasts twice as long, for clients that retry late.
        wait = self._batcher.expected_wait(self._admission.photos_ahead(creator))
        retry_after = min(_MAX_RETRY_AFTER, max(1, math.ceil(wait)))
        self._admission.reserve(creator, photos, 2 * retry_after)
        detail = "Too many photos wait already; try again in some seconds."
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "queue_full", detail, retry_after)
