"""Daemon thread pool: unlike that of `concurrent.futures`, its threads never hold up the end of the process."""

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Mapper(Protocol):
    """A function that applies *work* to each of *items*, and returns the results in their order."""

    def __call__(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Return the results, or raise the first error."""
        ...


def serially(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
    """Apply *work* to one of *items* after the other."""
    return [work(item) for item in items]


class DaemonThreads:
    """A pool of *number* threads. Entered, it takes work; left, it drops work that has not started."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        for number in range(self._number):
            threading.Thread(target=self._run, name=f"{self._name}-{number}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for _ in range(self._number):
            self._calls.put(None)

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have a thread do *work*, in the order of submission."""
        future: Future[_Result] = Future()
        self._calls.put((future, work))
        return future

    def map(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        """Return the results of *work* for each of *items*, in their order.

        After an error, work that has not started is canceled, and the first error is raised once the rest has ended.
        """
        futures = [self.submit(lambda item=item: work(item)) for item in items]  # type: ignore[misc]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
            wait(futures)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, work = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(result)
            # An idle thread must not keep a photo in memory.
            del call, future, work
