"""Distributed training: process ranks and collective operations."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from snap2caption.errors import UserError

COLLECTIVE_TIMEOUT = timedelta(hours=3)
"""Timeout of collective operations. It is long because the other processes wait while the main process evaluates, or
uploads a checkpoint.
"""

Value = TypeVar("Value")


class LostError(UserError):
    """Another training process has died."""

    def __init__(
        self,
        message: str = "A training process died; the log above says why. "
        "Run the same command again to resume from the last checkpoint.",
    ) -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among all training processes.

    It is process *rank* of *size*, and process *local_rank* of *local_size* on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which logs, saves and evaluates."""
        return self.rank == 0

    @property
    def is_local_main(self) -> bool:
        """Whether this is the main process of its machine, for work that is done once per machine."""
        return self.local_rank == 0

    def all_gather(self, value: Value) -> list[Value]:
        """Return the *value* of every process, ordered by rank, on every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def run_on_main(self, work: Callable[[], Value]) -> Value:
        """Run *work* in the main process, and return its result on every process.

        Raises:
            UserError: *work* raised it; every process raises it.
        """
        if self.size == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = work()
            except UserError as error:
                outcome[1] = error
        distributed.broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        result: Value = outcome[0]
        return result

    def all_reduce_sum(self, numbers: list[float]) -> list[float]:
        """Return the elementwise sums of *numbers* over all processes, on every process."""
        if self.size == 1:
            return numbers
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums)
        return [float(number) for number in sums]


SINGLE_PROCESS = Ranks()
"""Training in a single process."""


def backends() -> str:
    """Return the communication backends by device; objects are sent as CPU tensors."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Join the process group that the launcher's variables (``RANK``, ``WORLD_SIZE``, …) describe.

    Without them, train in this process alone.

    Raises:
        LostError: another process died while this one was waiting for it.
    """
    if "WORLD_SIZE" not in os.environ:
        yield SINGLE_PROCESS
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    ranks = Ranks(*(int(os.environ[name]) for name in names))
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local_rank)
    # As torchrun does; otherwise accelerate would choose a number of threads and warn.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Under Ray, the process group exists already.
    join = not distributed.is_initialized()
    if join:
        distributed.init_process_group(backends(), timeout=COLLECTIVE_TIMEOUT)
    try:
        yield ranks
    except RuntimeError as error:
        # Only NCCL has its own exception type; Gloo raises RuntimeError.
        if not isinstance(error, distributed.DistError) and "/gloo/" not in str(error):
            raise
        raise LostError from error
    # Not after an error: the other processes may never arrive.
    if join:
        distributed.destroy_process_group()
