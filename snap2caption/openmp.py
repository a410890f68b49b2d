"""OpenMP settings: how the threads that compute a product wait for each other."""

from typing import Final

OPENMP: Final = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
"""Environment variables, to be set before torch is loaded.

By default, threads spin for milliseconds while they wait. Where cores are shared (with Airflow or a browser), each wait
lasts until the scheduler preempts the spinning thread: measured five times slower on two busy cores. Threads that sleep
at once take as long to wake as a small product takes. So they spin for some microseconds first
(docs/decisions/demo.md).
"""
