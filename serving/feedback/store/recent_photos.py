"""Recent photos: which ones this process has delivered lately, and so are probably in the store."""

import threading
from collections import OrderedDict

_MOST = 10_000


class RecentPhotos:
    """Digests of photos, of which the oldest are forgotten. It is a hint: a photo may have been erased meanwhile."""

    def __init__(self) -> None:
        self._digests: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, photo: str) -> None:
        """Remember a photo."""
        with self._lock:
            self._digests[photo] = None
            self._digests.move_to_end(photo)
            if len(self._digests) > _MOST:
                self._digests.popitem(last=False)

    def __contains__(self, photo: str) -> bool:
        """Return whether the photo is remembered."""
        with self._lock:
            return photo in self._digests
