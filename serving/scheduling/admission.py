"""The places of the service: how many photos may be inside, and how they are shared between creators where several want them."""

import time
from collections import Counter


class AdmissionControl:
    """*capacity* places. Whoever is alone may have all of them.

    What somebody was turned away with is kept free for them, until they are let in or have given up, from all who have more than an equal share.
    So a newcomer waits for no longer than it takes to answer one who has too much.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._inside: Counter[str] = Counter()
        self._wanted: dict[str, tuple[int, float]] = {}

    @property
    def inside(self) -> int:
        """How many are taken."""
        return self._inside.total()

    def has_room(self, creator: str, photos: int) -> bool:
        """Whether *creator* may have so many more. A share is never so small that somebody without a place gets none."""
        left, held = self._capacity - self.inside - photos, self._inside[creator]
        if left < 0:
            return False
        return not held or left >= self._owed_to_others(creator) or held + photos <= self._share(creator)

    def ahead(self, creator: str) -> int:
        """Return how many photos have their turn before the next one of *creator*, where all take turns."""
        rounds = self._inside[creator] + 1
        return sum(min(held, rounds) for other, held in self._inside.items() if other != creator) + rounds - 1

    def take(self, creator: str, photos: int) -> None:
        """Give so many places to *creator*."""
        self._inside[creator] += photos
        self._wanted.pop(creator, None)

    def leave(self, creator: str, photos: int) -> None:
        """Take them back."""
        self._inside[creator] -= photos
        self._inside += Counter()  # Forgets those who have none.

    def turn_away(self, creator: str, photos: int, seconds: float) -> None:
        """Remember for so long that *creator* wanted so many places and got none."""
        self._wanted[creator] = photos, time.monotonic() + seconds

    def _owed_to_others(self, creator: str) -> int:
        now = time.monotonic()
        self._wanted = {other: (photos, until) for other, (photos, until) in self._wanted.items() if until > now}
        return sum(photos for other, (photos, _) in self._wanted.items() if other != creator)

    def _share(self, creator: str) -> int:
        return self._capacity // len(self._inside.keys() | self._wanted.keys() | {creator})
