"""Rate limiter of the middleware: counts in this process, or in the database that replicas share."""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from limits import RateLimitItem, WindowStats
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from serving.settings import ServingSettings
from serving.state.database import Database
from serving.state.opening import open_database
from serving.state.rates import DatabaseRates
from serving.state.tables import Section
from serving.state.threads import StateThreads

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class Limiter:
    """Limits of rates by a sliding window. With a *database*, replicas share what was counted, and calls take threads.

    Raises:
        StateError: of each method, if the database can't be used.
    """

    def __init__(self, database: Database | None = None) -> None:
        self._threads = StateThreads("rates") if database else None
        storage = DatabaseRates(database) if database else MemoryStorage()
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    async def hit(self, item: RateLimitItem, key: str, cost: int = 1) -> bool:
        """Count a hit of *key* if the limit leaves room for its *cost*, and return whether it does."""
        return await self._run(self._limiter.hit, item, key, cost=cost)

    async def test(self, item: RateLimitItem, key: str) -> bool:
        """Return whether the limit leaves room for a hit."""
        return await self._run(self._limiter.test, item, key)

    async def stats(self, item: RateLimitItem, key: str) -> WindowStats:
        """Return what is left, and when there is more (seconds since the epoch)."""
        return await self._run(self._limiter.get_window_stats, item, key)

    async def _run(
        self, work: Callable[_Arguments, _Result], *arguments: _Arguments.args, **options: _Arguments.kwargs
    ) -> _Result:
        if self._threads is None:
            return work(*arguments, **options)
        return await self._threads.run(partial(work, *arguments, **options))


def open_limiter(settings: ServingSettings) -> Limiter:
    """Return the limiter of the service with these settings.

    Raises:
        StateError: the database that replicas share can't be used.
    """
    return Limiter(open_database(settings, Section.RATES) if settings.database_url else None)
