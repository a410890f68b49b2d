"""Worker pool: processes that share the work of a stage."""

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from etl.fork_server import start_fork_server
from snap2caption.errors import UserError
from snap2caption.runtime.arrow import skip_pandas
from snap2caption.runtime.garbage_collection import collect_less

_AHEAD = 4
"""Tasks running or queued per process: enough to keep every process busy, few enough that results don't pile up."""

T = TypeVar("T")


class WorkerPool:
    """Pool of processes that end with this one, even if it is killed."""

    def __init__(self, pool: ProcessPoolExecutor, count: int) -> None:
        self._pool = pool
        self.count = count

    def start(self, load: Callable[[], object]) -> None:
        """Start the processes now instead of with the first task; each runs *load* to import what it needs."""
        for _ in range(self.count):
            self._pool.submit(load)

    def run(self, work: Callable[..., T], tasks: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """Yield ``work(*task)`` for each task, in order."""
        under_way: deque[Future[T]] = deque()
        for task in tasks:
            under_way.append(self._pool.submit(work, *task))
            if len(under_way) >= self.count * _AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@contextmanager
def start_workers(count: int | None) -> Iterator[WorkerPool]:
    """Start *count* processes; by default one per processor.

    Raises:
        UserError: one of them was killed.
    """
    count = count or os.cpu_count() or 1
    pool = ProcessPoolExecutor(count, mp_context=start_fork_server(), initializer=_start, initargs=(dict(os.environ),))
    try:
        yield WorkerPool(pool, count)
    except BrokenProcessPool as error:
        raise UserError(
            "A process that checks samples was killed, most likely for lack of memory; try again with --workers 1."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(environment: dict[str, str]) -> None:
    # The server that this process was forked from has the environment of when it was started. Addresses and
    # credentials of stores may have been set since.
    os.environ.clear()
    os.environ.update(environment)
    collect_less()  # the server has Python's own thresholds
    skip_pandas()
    _end_with_parent()


def _end_with_parent() -> None:
    """Watch the parent from a thread. Otherwise a worker whose parent was killed waits forever for its next task."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
