"""The processes that train together: which of them this is, and what they tell each other."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from snap2caption.errors import UserError

PATIENCE = timedelta(hours=3)
"""How long processes wait for each other: while the first one evaluates, or sends a checkpoint to a store, the others have nothing to do."""

Value = TypeVar("Value")


class LostError(UserError):
    """Another process is gone."""

    def __init__(
        self,
        message: str = "The training lost one of its processes; see above why. The same command goes on from the last checkpoint.",
    ) -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together: number *rank* of *size*, and number *local_rank* of its machine's *local_size*."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that logs, saves and evaluates."""
        return self.rank == 0

    @property
    def leads_machine(self) -> bool:
        """Whether this is its machine's process for what a machine does once."""
        return self.local_rank == 0

    def gather(self, value: Value) -> list[Value]:
        """Return the *value* of every process, in their order, on every process."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def lead(self, work: Callable[[], Value]) -> Value:
        """Let the first process do *work*, and return on every process what it returned.

        Raises:
            UserError: the work raised it; on every process.
        """
        if self.size == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                outcome[0] = work()
            except UserError as error:
                outcome[1] = error
        distributed.broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        result: Value = outcome[0]
        return result

    def total(self, numbers: list[float]) -> list[float]:
        """Return the sums of the processes' *numbers*, on every process."""
        if self.size == 1:
            return numbers
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums)
        return [float(number) for number in sums]


ALONE = Ranks()
"""A training of one process."""


def backends() -> str:
    """Return what carries tensors between processes. What is no tensor goes over the processor's."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that the launcher's variables (``RANK``, ``WORLD_SIZE``, …) tell of; without them, train alone.

    Raises:
        LostError: another process has ended while this one was waiting for it.
    """
    if "WORLD_SIZE" not in os.environ:
        yield ALONE
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    ranks = Ranks(*(int(os.environ[name]) for name in names))
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local_rank)
    # As torchrun does; accelerate would choose a number of threads otherwise, and warn.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Ray has joined them already.
    join = not distributed.is_initialized()
    if join:
        distributed.init_process_group(backends(), timeout=PATIENCE)
    try:
        yield ranks
    except RuntimeError as error:
        # Only NCCL's errors have a type of their own.
        if not isinstance(error, distributed.DistError) and "/gloo/" not in str(error):
            raise
        raise LostError from error
    # Not after an error: the others may never come.
    if join:
        distributed.destroy_process_group()
