"""Photo locks: feedback that uses a photo is not delivered while an erasure deletes the photo as unused."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from serving.state.database import Database

_STRIPES = 256


class PhotoLocks:
    """Locks by a photo's digest for the threads of one process, and of others that share *database*.

    Within the process, several photos share one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]

    @contextmanager
    def holding(self, photo: str, *, deleting: bool = False) -> Iterator[None]:
        """Hold the lock of the photo with this digest. A thread holds one at a time.

        Processes that use a photo don't exclude each other, but one that is *deleting* it excludes all others.

        Raises:
            BusyError: another process has held it for long.
            StateError: the database can't be used, or another process may have held the lock meanwhile.
        """
        held = self._database.hold(f"photo {photo}", shared=not deleting)
        with self._stripes[int(photo[:8], 16) % _STRIPES], held:
            yield
