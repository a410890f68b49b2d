"""Wait estimate for load shedding: a moving average of the time per photo under load."""

import time

_WEIGHT = 0.1
"""The weight of the latest photo. A batch of eight together outweighs all photos before it a little."""


class WaitEstimator:
    """Smoothed seconds per photo while requests are queued; 0 until two answers were timed.

    One thread writes; any thread may read.
    """

    def __init__(self) -> None:
        self.seconds_per_photo = 0.0
        self._since: float | None = None

    def reset(self) -> None:
        """Stop the clock while the queue is empty: the throughput then says nothing about the throughput under load."""
        self._since = None

    def record(self, photos: int) -> None:
        """Record that so many photos were answered now, while others are queued."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif photos:
            each, self._since = (now - self._since) / photos, now
            kept = (1 - _WEIGHT) ** photos if self.seconds_per_photo else 0.0
            self.seconds_per_photo = kept * self.seconds_per_photo + (1 - kept) * each
