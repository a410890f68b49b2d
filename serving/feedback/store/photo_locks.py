"""Photo locks: feedback that uses a photo is not delivered while an erasure deletes the photo as unused."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STRIPES = 256


class PhotoLocks:
    """Locks by a photo's digest for the threads of one process. Several photos share one."""

    def __init__(self) -> None:
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]

    @contextmanager
    def holding(self, photo: str) -> Iterator[None]:
        """Hold the lock of the photo with this digest. A thread holds one at a time."""
        with self._stripes[int(photo[:8], 16) % _STRIPES]:
            yield
