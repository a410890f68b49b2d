"""Peak memory of the stack."""

from threading import Event, Thread
from typing import Self

import psutil

from demo.stack import Stack

_EVERY = 2.0


class PeakMemory:
    """Samples the memory of this process and of the stack's while the context lasts. ``peak`` is in bytes."""

    def __init__(self, stack: Stack) -> None:
        self.peak = 0
        self._stack = stack
        self._over = Event()
        self._thread = Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(_EVERY):
            self.peak = max(self.peak, self._stack.memory() + psutil.Process().memory_info().rss)
