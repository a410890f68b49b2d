"""Memory budget for request bodies: a total for all of them, and a share for each creator."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Waiter:
    """A request that waits for room."""

    creator: str | None
    size: int
    admitted: asyncio.Event = field(default_factory=asyncio.Event)


class BodyBudget:
    """Grants memory to request bodies in order of arrival. It belongs to one event loop.

    Args:
        total: bytes for all bodies.
        share: bytes for the bodies of one creator. Requests without a creator have no share.
    """

    def __init__(self, total: int, share: int) -> None:
        self._free = total
        self._share = share
        self._held: Counter[str | None] = Counter()
        self._waiting: deque[_Waiter] = deque()

    async def acquire(self, creator: str | None, size: int, seconds: float) -> None:
        """Wait for room for *size* bytes and reserve all of it at once.

        No request holds one part while it waits for another, so there are no deadlocks.

        Raises:
            TimeoutError: there was no room for *seconds*.
        """
        waiter = _Waiter(creator, size)
        self._waiting.append(waiter)
        self._admit_waiting()
        try:
            async with asyncio.timeout(seconds):
                await waiter.admitted.wait()
        except BaseException:
            if waiter.admitted.is_set():
                self.release(creator, size)
            else:
                self._waiting.remove(waiter)
                self._admit_waiting()
            raise

    def release(self, creator: str | None, size: int) -> None:
        """Give back *size* bytes, and admit the requests that now have room."""
        self._free += size
        self._held[creator] -= size
        if not self._held[creator]:
            del self._held[creator]
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        """Admit waiting requests in order. Those of a creator who has used up their share are skipped."""
        for waiter in list(self._waiting):
            if waiter.creator is not None and self._held[waiter.creator] + waiter.size > self._share:
                continue
            if waiter.size > self._free:
                break
            self._waiting.remove(waiter)
            self._free -= waiter.size
            self._held[waiter.creator] += waiter.size
            waiter.admitted.set()
