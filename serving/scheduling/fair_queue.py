"""Fair queue: a bounded round-robin queue, in which a creator with many items delays only their own."""

import queue
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

_Item = TypeVar("_Item")


class FairQueue(queue.Queue[_Item]):
    """At most *max_items* items. *key* assigns each item to a flow.

    The queue is round-robin between flows, and first in, first out within each.
    """

    def __init__(self, max_items: int, key: Callable[[_Item], str]) -> None:
        self._key = key
        super().__init__(max_items)

    # The hooks of `queue.Queue` for other orders. It calls them while it holds its lock.

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - the base class enforces it
        self._flows: OrderedDict[str, deque[_Item]] = OrderedDict()
        self._items = 0

    def _qsize(self) -> int:
        return self._items

    def _put(self, item: _Item) -> None:
        self._flows.setdefault(self._key(item), deque()).append(item)
        self._items += 1

    def _get(self) -> _Item:
        name, flow = self._flows.popitem(last=False)
        item = flow.popleft()
        if flow:
            self._flows[name] = flow
        self._items -= 1
        return item
