"""A budget of request bodies in memory: all that are read or waited for together, and of these what one creator may have."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Waiter:
    """Somebody who waits for room."""

    creator: str | None
    size: int
    come: asyncio.Event = field(default_factory=asyncio.Event)


class BodyBudget:
    """Gives bodies room, in turn: *most* bytes in all, and *share* of them to one creator, where there are any. It belongs to one event loop."""

    def __init__(self, most: int, share: int) -> None:
        self._free = most
        self._share = share
        self._held: Counter[str | None] = Counter()
        self._waiting: deque[_Waiter] = deque()

    async def take(self, creator: str | None, size: int, seconds: float) -> None:
        """Wait for room for *size* bytes, and take it all at once: whoever has room needs no more, so nobody waits for each other.

        Raises:
            TimeoutError: there was none for *seconds*.
        """
        turn = _Waiter(creator, size)
        self._waiting.append(turn)
        self._serve()
        try:
            async with asyncio.timeout(seconds):
                await turn.come.wait()
        except BaseException:
            if turn.come.is_set():
                self.give_back(creator, size)
            else:
                self._waiting.remove(turn)
                self._serve()
            raise

    def give_back(self, creator: str | None, size: int) -> None:
        """Leave the room to others."""
        self._free += size
        self._held[creator] -= size
        if not self._held[creator]:
            del self._held[creator]
        self._serve()

    def _serve(self) -> None:
        """Let in who waits, in their turn; who has its share lets others pass."""
        for turn in list(self._waiting):
            if turn.creator is not None and self._held[turn.creator] + turn.size > self._share:
                continue
            if turn.size > self._free:
                break
            self._waiting.remove(turn)
            self._free -= turn.size
            self._held[turn.creator] += turn.size
            turn.come.set()
