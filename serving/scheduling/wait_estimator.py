"""How fast photos are written about: so that nobody is let in who would wait for too long."""

import time

_WEIGHT = 0.1
"""Of the latest photo. A batch of eight, which come together, counts a little more than all before."""


class WaitEstimator:
    """Seconds from one answer to the next while others wait, smoothed; 0 before there were two. One thread writes, any may read."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def rest(self) -> None:
        """Say that nobody waits: how long the next answer takes does not tell how fast many would be answered."""
        self._since = None

    def answered(self, photos: int) -> None:
        """Say that others wait, and so many were answered now."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif photos:
            each, self._since = (now - self._since) / photos, now
            kept = (1 - _WEIGHT) ** photos if self.seconds else 0.0
            self.seconds = kept * self.seconds + (1 - kept) * each
