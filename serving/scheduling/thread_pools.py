"""Bounded pools of threads: what is slow, or hangs, holds up its own kind of work and nothing else."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class PoolBusyError(Exception):
    """No thread is free and no more work may wait for one, or the work takes longer than somebody waits for it."""


class BoundedThreadPool:
    """*threads* for one kind of blocking work, of which *waiting* more may wait for their turn."""

    def __init__(self, name: str, threads: int, waiting: int = 0) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._places = threading.BoundedSemaphore(threads + waiting)

    async def run(self, work: Callable[..., _Result], *arguments: object, seconds: float | None = None) -> _Result:
        """Return what *work* returns. Whoever has waited for *seconds* leaves it to end by itself: until then it keeps its place.

        Raises:
            PoolBusyError: there is no place for it, or it takes too long.
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
            # What has not begun is not done for nobody, and its place is free at once.
            future.cancel()
            waiting.cancel()

    def close(self) -> None:
        """Take no more work. What has begun is not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
