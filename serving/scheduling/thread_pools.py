"""Bounded thread pools (bulkheads): blocking work that is slow or hangs delays only work of its own kind."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class PoolBusyError(Exception):
    """All threads and queue places are taken, or the work took longer than its caller waits."""


class BoundedThreadPool:
    """A pool of *threads* for one kind of blocking work, with a queue of *waiting* more calls."""

    def __init__(self, name: str, threads: int, waiting: int = 0) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._places = threading.BoundedSemaphore(threads + waiting)

    async def run(self, work: Callable[..., _Result], *arguments: object, seconds: float | None = None) -> _Result:
        """Return the result of ``work(*arguments)``.

        After *seconds* the caller gives up. Work that has started runs to its end, and holds its place until then.

        Raises:
            PoolBusyError: the pool is full, or the work took longer than *seconds*.
        """
        if not self._places.acquire(blocking=False):
            raise PoolBusyError
        future = self._executor.submit(contextvars.copy_context().run, work, *arguments)
        future.add_done_callback(lambda _: self._places.release())
        waiting = asyncio.wrap_future(future)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                raise PoolBusyError
            return waiting.result()
        finally:
            # Work that has not started is dropped, and its place is free at once.
            future.cancel()
            waiting.cancel()

    def close(self) -> None:
        """Accept no more work. Does not wait for work that has started."""
        self._executor.shutdown(wait=False, cancel_futures=True)
