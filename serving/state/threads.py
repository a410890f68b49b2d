"""Threads for calls to a shared database, which would block the event loop."""

from collections.abc import Callable
from typing import TypeVar

from serving.scheduling.thread_pools import BoundedThreadPool, PoolBusyError
from serving.state.database import StateError

THREADS = 4
_WAITING = 512
"""How many calls may wait for the threads: more than a service has requests."""

SECONDS = 10.0
"""How long a call may take, as long as a connection may be silent. A server that hangs must not hold requests."""

_Result = TypeVar("_Result")


class StateThreads:
    """Threads for one kind of calls, which wait for nothing else."""

    def __init__(self, name: str) -> None:
        self._pool = BoundedThreadPool(name, THREADS, _WAITING)

    async def run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Return the result of ``work(*arguments)``.

        Raises:
            StateError: too many calls wait, or this one takes too long.
        """
        try:
            return await self._pool.run(work, *arguments, seconds=SECONDS)
        except PoolBusyError:
            message = "The database is too slow, or too many requests wait for it; check how fast it answers."
            raise StateError(message, away=True) from None
