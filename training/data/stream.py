"""Streaming dataset: samples read from a store, shuffled, divided among workers, resumable and verified.

Only a few shards are on disk at a time.
"""

import hashlib
import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset as MapDataset
from torch.utils.data import IterableDataset, Sampler, get_worker_info

from snap2caption.datasets.shards import Sample, read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from training.data.samples import SplitSelection
from training.data.shares import ShardShare, find_shares


@dataclass(frozen=True, slots=True)
class ShufflePortion:
    """Consecutive samples, from *start* to *stop*, of a shard share in its shuffled order."""

    share: ShardShare
    start: int
    stop: int


class SampleStream(IterableDataset):
    """Iterable torch dataset of the selected samples of a dataset version, for a DataLoader of the given *batch_size*.

    Each epoch has a new order, which depends only on *seed* and the epoch number: the shards are shuffled, then the
    samples of each shard. A loader's workers read consecutive batches of that order: together they give every
    sample once, and few shards are fetched twice.

    While one shard is read, the next one is fetched, both into *scratch*. A shard is verified before any of its
    samples is returned, and removed after the last one. Samples carry their photo.

    `state_dict` and `load_state_dict` follow the protocol of torchdata's StatefulDataLoader.
    """

    def __init__(
        self, dataset: DatasetVersion, selection: SplitSelection, *, batch_size: int, seed: int, scratch: Path
    ) -> None:
        """Plan the stream from the manifest; nothing is fetched yet.

        Raises:
            UserError: the selection is empty, or the manifest does not say which cities are in which shard.
        """
        self.dataset = dataset
        self.shares = find_shares(dataset.manifest, selection)
        self.batch_size = batch_size
        self.seed = seed
        self.scratch = scratch
        self.epoch = 0
        content = [dataset.manifest.version, [(share.shard.sha256, share.cities) for share in self.shares]]
        self._content = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
        self._position = self._resume_at = 0

    def __len__(self) -> int:
        """Return the number of samples per epoch."""
        return sum(share.samples for share in self.shares)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration, which starts at its beginning."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._position = self._resume_at = 0

    def seek(self, position: int) -> None:
        """Start the next iteration at *position* of this worker's part."""
        self._position = self._resume_at = position

    def state_dict(self) -> dict[str, Any]:
        """Return this worker's position: the number of samples of its part that it has returned in this epoch."""
        return {"epoch": self.epoch, "position": self._position, "order": self._order()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume at the position in *state*: the next iteration starts there, and fetches no earlier samples.

        Raises:
            UserError: the state belongs to a stream with another order.
        """
        if state["order"] != self._order():
            raise UserError(
                "The saved position belongs to another stream; resume with the same dataset version, selection, seed, "
                "batch size and number of workers."
            )
        self.epoch = state["epoch"]
        self.seek(state["position"])

    def __iter__(self) -> Iterator[Sample]:
        """Iterate from the resume position, once; the iteration after this one starts at the beginning again."""
        start, self._resume_at = self._resume_at, 0
        self._position = start
        return self._read(self.plan(*_this_worker(), start))

    def plan(self, worker: int, workers: int, position: int = 0) -> list[ShufflePortion]:
        """Return the portions that *worker* of *workers* reads in this epoch, from *position* of its part on."""
        rng = random.Random(f"{self.seed}:{self.epoch}")  # noqa: S311 - not a secret
        order = rng.sample(self.shares, len(self.shares))
        part = batches_of(worker, workers, len(self), self.batch_size)
        return find_portions(order, range(part.start + position, part.stop))

    def _read(self, plan: Sequence[ShufflePortion]) -> Iterator[Sample]:
        if not plan:
            return
        self.scratch.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=self.scratch) as scratch,
            ThreadPoolExecutor(1, thread_name_prefix="next-shard") as thread,
        ):
            # Each portion gets its own folder, which is removed as a whole.
            folders = [Path(scratch) / str(number) for number in range(len(plan))]
            fetching = thread.submit(self._fetch, plan[0], folders[0])
            for folder, upcoming, next_folder in zip_longest(folders, plan[1:], folders[1:]):
                samples = fetching.result()
                if upcoming is not None:
                    fetching = thread.submit(self._fetch, upcoming, next_folder)
                for sample in samples:
                    self._position += 1
                    yield sample.loaded()
                shutil.rmtree(folder)

    def _fetch(self, portion: ShufflePortion, folder: Path) -> list[Sample]:
        shard = portion.share.shard
        chosen = list(portion.share.choose(read_shard(self.dataset.fetch(shard, folder), shard.name), self.dataset.uri))
        rng = random.Random(f"{self.seed}:{self.epoch}:{shard.name}")  # noqa: S311 - not a secret
        shuffled = rng.sample(chosen, len(chosen))
        return shuffled[portion.start : portion.stop]

    def _order(self) -> list[Any]:
        """Return everything that determines the order of this worker's samples, except the epoch."""
        return [self._content, self.seed, self.batch_size, *_this_worker()]


class PositionalDataset(MapDataset):
    """Map-style view of a stream, because transformers' Trainer reads data by position.

    Reading in ascending order streams. It skips over the parts of a batch that belong to other processes. A longer
    jump, as when training resumes, fetches none of the samples in between.
    """

    def __init__(self, stream: SampleStream) -> None:
        self.stream = stream
        self._samples: Iterator[Sample] = iter(())
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self.stream)

    def __getitem__(self, position: int) -> Sample:
        if self._next is None or not 0 <= position - self._next < self.stream.batch_size:
            self.stream.seek(position)
            self._samples = iter(self.stream)
            self._next = position
        for _ in range(position - self._next):
            next(self._samples)
        self._next = position + 1
        return next(self._samples)


class StreamOrder(Sampler[int]):
    """Sampler that keeps a stream's own order: the stream shuffles by itself in each epoch."""

    def __init__(self, stream: SampleStream) -> None:
        self.stream = stream

    @property
    def epoch(self) -> int:
        """The epoch number."""
        return self.stream.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.stream.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.stream)))


def batches_of(worker: int, workers: int, samples: int, batch_size: int) -> range:
    """Return the range of *samples* that belongs to *worker* of *workers*: whole batches, except the very last one."""
    batches = -(-samples // batch_size)
    each, more = divmod(batches, workers)
    first = worker * each + min(worker, more)
    last = first + each + (worker < more)
    return range(min(first * batch_size, samples), min(last * batch_size, samples))


def find_portions(order: Sequence[ShardShare], wanted: range) -> list[ShufflePortion]:
    """Return the portions of the shares in *order* that cover the positions *wanted*."""
    portions = []
    at = 0
    for share in order:
        first, last = max(wanted.start - at, 0), min(wanted.stop - at, share.samples)
        if first < last:
            portions.append(ShufflePortion(share, first, last))
        at += share.samples
    return portions


def _this_worker() -> tuple[int, int]:
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)
