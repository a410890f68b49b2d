"""Turn-taking between two kinds of requests that a server must not run at the same time."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Lets requests of one kind run at the same time, and makes those of the other kind wait.

    When the running requests have ended, all that wait of the other kind get their turn. Nobody waits longer than that:
    further requests of the running kind have to wait as soon as one of the other kind does.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._admitted: Counter[str] = Counter()
        """How many of those that wait have got their turn."""

    @contextmanager
    def take(self, kind: str) -> Iterator[None]:
        """Wait until no request of another kind runs, and keep them waiting meanwhile."""
        with self._changed:
            self._waiting[kind] += 1
            self._changed.wait_for(lambda: self._may_start(kind))
            self._waiting[kind] -= 1
            self._admitted[kind] = max(0, self._admitted[kind] - 1)
            self._running[kind] += 1
        try:
            yield
        finally:
            with self._changed:
                self._running[kind] -= 1
                if not self._running.total() and not self._admitted.total():
                    following = next((other for other in +self._waiting if other != kind), kind)
                    self._admitted[following] = self._waiting[following]
                self._changed.notify_all()

    def _may_start(self, kind: str) -> bool:
        others = self._running + self._waiting + self._admitted
        del others[kind]
        return self._admitted[kind] > 0 or not others
