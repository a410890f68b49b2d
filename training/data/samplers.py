"""The order of the samples, and what each process gets of it."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import torch
from torch.utils.data import Sampler

from training.data.samples import chunks
from training.distributed import Ranks

Item = TypeVar("Item")


class SampleOrder(Protocol):
    """Which samples, one after the other."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...


class EpochOrder(Sampler[int]):
    """The order of the samples: another one in each epoch, that depends on the seed and the epoch's number alone.

    *lengths* are the samples', in any unit. Samples of like length come together, so that little is computed on padding: random pools of
    `POOL` batches are sorted by length, and the batches then shuffled.
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
        # The last one may be smaller, and then must stay the last one.
        full = len(self.lengths) // self.batch_size
        shuffled = torch.randperm(full, generator=generator).tolist()
        return iter([index for number in [*shuffled, *range(full, len(batches))] for index in batches[number]])


class SharedBatches(Sampler[list[int]]):
    """What a process gets of each batch of an order: consecutive samples, as many as the others, give or take one.

    However many processes there are, together they see the same batches. A process whose share of the last, smaller batch is empty gets an
    empty list, so that all of them take the same steps.
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
    """Return a process's share of *items*: consecutive ones, as many as the others get, give or take one."""
    start, stop = (len(items) * rank // ranks.size for rank in (ranks.rank, ranks.rank + 1))
    return items[start:stop]
