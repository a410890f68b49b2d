"""Samplers: the order of samples in an epoch, and each process's share of a batch."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import torch
from torch.utils.data import Sampler

from training.data.samples import chunks
from training.distributed import Ranks

Item = TypeVar("Item")


class SampleOrder(Protocol):
    """A sequence of sample indices."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...


class EpochOrder(Sampler[int]):
    """Sampler with a new random order in each epoch, which depends only on the seed and the epoch number.

    *lengths* are the samples' lengths, in any unit. Samples of similar length are batched together, to reduce
    padding: random pools of `POOL` batches are sorted by length, and then the batches are shuffled.
    """

    POOL = 8

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        pools = chunks(order, self.POOL * self.batch_size)
        by_length = [index for pool in pools for index in sorted(pool, key=lambda index: self.lengths[index])]
        batches = list(chunks(by_length, self.batch_size))
        # The last batch may be smaller, and must then stay last.
        full = len(self.lengths) // self.batch_size
        shuffled = torch.randperm(full, generator=generator).tolist()
        return iter([index for number in [*shuffled, *range(full, len(batches))] for index in batches[number]])


class SharedBatches(Sampler[list[int]]):
    """Batch sampler that gives this process its share of each batch: consecutive samples, divided evenly.

    All processes together see the same batches, however many processes there are. A process whose share of the
    last, smaller batch is empty gets an empty list, so that all processes take the same number of steps.
    """

    def __init__(self, order: SampleOrder, batch_size: int, ranks: Ranks) -> None:
        self.order = order
        self.batch_size = batch_size
        self.ranks = ranks

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in chunks(list(self.order), self.batch_size):
            yield list(share(batch, self.ranks))


def share(items: Sequence[Item], ranks: Ranks) -> Sequence[Item]:
    """Return this process's share of *items*: consecutive, and of equal size for all processes, give or take one."""
    start, stop = (len(items) * rank // ranks.size for rank in (ranks.rank, ranks.rank + 1))
    return items[start:stop]
