"""A bounded queue whose lines take turns: whoever has put much into it delays their own, not what others put in after it."""

import queue
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TypeVar

_Item = TypeVar("_Item")


class FairQueue(queue.Queue[_Item]):
    """At most *most* items, in lines by what *line* says of them: round-robin between the lines, first in, first out within each."""

    def __init__(self, most: int, line: Callable[[_Item], str]) -> None:
        self._line = line
        super().__init__(most)

    # What `queue.Queue` leaves to those who order items otherwise, called while it holds its lock.

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - it is the base class's to keep to it
        self._lines: OrderedDict[str, deque[_Item]] = OrderedDict()
        self._items = 0

    def _qsize(self) -> int:
        return self._items

    def _put(self, item: _Item) -> None:
        self._lines.setdefault(self._line(item), deque()).append(item)
        self._items += 1

    def _get(self) -> _Item:
        name, line = self._lines.popitem(last=False)
        item = line.popleft()
        if line:
            self._lines[name] = line
        self._items -= 1
        return item
