"""Postponed entries: those that failed here are left to other replicas for a while, and hold up no other entry."""

import time
from collections.abc import Collection
from dataclasses import dataclass

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_MOST = 1000
"""Entries that are remembered. Beyond that, those that failed first are tried again at once."""


@dataclass(slots=True)
class _Failure:
    wait: float
    until: float


class PostponedEntries:
    """Ids of entries that failed, with waits that double with each failure."""

    def __init__(self) -> None:
        self._failures: dict[str, _Failure] = {}

    def add(self, identifier: str) -> float:
        """Postpone an entry that failed, and return for how many seconds."""
        known = self._failures.pop(identifier, None)
        wait = min(2 * known.wait, _LONGEST_WAIT) if known else _FIRST_WAIT
        if len(self._failures) >= _MOST:
            self._failures.pop(next(iter(self._failures)))
        self._failures[identifier] = _Failure(wait, time.monotonic() + wait)
        return wait

    def forget(self, identifiers: Collection[str]) -> None:
        """Forget the failures of entries that are done."""
        for identifier in identifiers:
            self._failures.pop(identifier, None)

    def now(self) -> list[str]:
        """Return the ids of the entries that are still to be left alone."""
        now = time.monotonic()
        return [identifier for identifier, failure in self._failures.items() if failure.until > now]
