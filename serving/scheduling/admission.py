"""Admission control: limits the photos in flight, and shares the capacity fairly between creators."""

import time
from collections import Counter


class AdmissionControl:
    """Admits at most *capacity* photos at a time. A creator who is alone may use all of it.

    The places that a rejected creator asked for are reserved for them until they are admitted or have given up.
    Creators who hold more than an equal share can't take these places. So a newcomer waits at most as long as it takes
    to answer a photo of a creator who holds too many.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._admitted: Counter[str] = Counter()
        self._reserved: dict[str, tuple[int, float]] = {}

    @property
    def in_flight(self) -> int:
        """The number of admitted photos."""
        return self._admitted.total()

    def has_room(self, creator: str, photos: int) -> bool:
        """Whether *creator* may add so many photos.

        A creator without any photo in flight needs only free capacity, however small an equal share is.
        """
        left, held = self._capacity - self.in_flight - photos, self._admitted[creator]
        if left < 0:
            return False
        return not held or left >= self._reserved_for_others(creator) or held + photos <= self._share(creator)

    def photos_ahead(self, creator: str) -> int:
        """Return how many photos are served before the next one of *creator*, if creators take turns."""
        rounds = self._admitted[creator] + 1
        return sum(min(held, rounds) for other, held in self._admitted.items() if other != creator) + rounds - 1

    def acquire(self, creator: str, photos: int) -> None:
        """Admit so many photos of *creator*."""
        self._admitted[creator] += photos
        self._reserved.pop(creator, None)

    def release(self, creator: str, photos: int) -> None:
        """Release the places of finished photos."""
        self._admitted[creator] -= photos
        self._admitted += Counter()  # Removes creators without photos.

    def reserve(self, creator: str, photos: int, seconds: float) -> None:
        """Reserve places for a creator who was rejected, for so many *seconds*."""
        self._reserved[creator] = photos, time.monotonic() + seconds

    def _reserved_for_others(self, creator: str) -> int:
        now = time.monotonic()
        self._reserved = {other: (photos, until) for other, (photos, until) in self._reserved.items() if until > now}
        return sum(photos for other, (photos, _) in self._reserved.items() if other != creator)

    def _share(self, creator: str) -> int:
        return self._capacity // len(self._admitted.keys() | self._reserved.keys() | {creator})
