"""Parallel maps and generators over a thread pool, with results in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the results of *work* for each item, in the order in which they finish.

    The first error is raised after the running items have finished; items that have not started are canceled.
    """
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in as_completed([pool.submit(work, item) for item in items]):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield the results of *work* for each item, in the items' order, with at most twice as many of them in memory
    as there are *threads*, however slow the consumer is.

    The first error is raised after the running items have finished; items that have not started are canceled.
    """
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) == 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def interleave(sources: Iterable[Iterator[Result]], threads: int) -> Iterator[Result]:
    """Yield what all of the *sources* yield, from as many of them in turn as there are *threads*.

    A source is at most one step ahead, so the order is always the same, and memory holds one result per thread. None
    must not be among the results. The first error is raised after the running steps have finished.
    """
    left = iter(sources)
    running: deque[tuple[Iterator[Result], Future[Result | None]]] = deque()
    with ThreadPoolExecutor(threads) as pool:

        def start(source: Iterator[Result]) -> None:
            running.append((source, pool.submit(next, source, None)))

        for source in islice(left, threads):
            start(source)
        while running:
            source, step = running.popleft()
            found = step.result()
            if found is None:
                for following in islice(left, 1):
                    start(following)
            else:
                start(source)
                yield found
