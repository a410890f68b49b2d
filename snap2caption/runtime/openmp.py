"""OpenMP settings and teams: how the threads that compute a product wait for each other, and how long they live."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")

OPENMP: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""Environment variables, to be set before torch is loaded.

By default, threads spin for milliseconds while they wait. Where cores are shared (with Airflow or a browser), each wait
lasts until the scheduler preempts the spinning thread: measured five times slower on two busy cores. Threads that sleep
at once take as long to wake as a small product takes. So they spin for some microseconds first
(docs/decisions/demo.md).
"""


def with_own_team(work: Callable[[], Result]) -> Result:
    """Run *work* in a thread that ends with it, and return its result or raise its error.

    Each thread that computes has OpenMP threads of its own, its team, until it ends. libgomp counts those of all
    teams: once there are more than cores, none of them spins any more, and each product waits for a thread to wake up.
    So a thread that computes for a while, such as one that loads a model, must not keep its team beside the one that
    decodes (docs/decisions/engine.md). Source: libgomp's ``gomp_throttled_spin_count_var``.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    # A daemon, so that an interrupted process does not wait for it.
    thread = threading.Thread(target=run, name=threading.current_thread().name, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
