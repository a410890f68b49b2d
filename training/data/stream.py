"""Training samples straight from a store: shuffled, shared over workers, resumable, verified, a few shards on disk at a time."""

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
    """Consecutive samples, *start* to *stop*, of a share in its shuffled order."""

    share: ShardShare
    start: int
    stop: int


class SampleStream(IterableDataset):
    """The selected samples of a dataset version, as a torch dataset for a DataLoader of the given *batch_size*.

    In each epoch another order, which depends on *seed* and the epoch alone: the shards are shuffled, then the samples of each. A loader's
    workers get consecutive batches of that order: all of them together give every sample once, and few shards are fetched twice.

    Beside the shard that is read, the next one is fetched, both under *scratch*; a shard is verified before any of its samples is handed out, and
    removed after the last. Samples carry their photo.

    `state_dict` and `load_state_dict` are what torchdata's StatefulDataLoader looks for.
    """

    def __init__(
        self, dataset: DatasetVersion, selection: SplitSelection, *, batch_size: int, seed: int, scratch: Path
    ) -> None:
        """Plan the stream by the manifest; nothing is fetched yet.

        Raises:
            UserError: nothing is selected, or the manifest does not tell where it lies.
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
        """Return how many samples an epoch has."""
        return sum(share.samples for share in self.shares)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives, from its beginning."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._position = self._resume_at = 0

    def seek(self, position: int) -> None:
        """Let the next iteration begin at *position* of this worker's part."""
        self._position = self._resume_at = position

    def state_dict(self) -> dict[str, Any]:
        """Return where this worker is: how many samples of its part it has handed out in this epoch."""
        return {"epoch": self.epoch, "position": self._position, "order": self._order()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where *state* was taken: the next iteration gives the sample after the last one, without fetching those before.

        Raises:
            UserError: it was taken from a stream that gives another order.
        """
        if state["order"] != self._order():
            raise UserError(
                "The saved position belongs to another stream; go on with the same dataset version, selection, seed, batch size, and "
                "number of workers."
            )
        self.epoch = state["epoch"]
        self.seek(state["position"])

    def __iter__(self) -> Iterator[Sample]:
        """Start the epoch, once: the iteration after this one begins at its beginning again."""
        start, self._resume_at = self._resume_at, 0
        self._position = start
        return self._read(self.plan(*_this_worker(), start))

    def plan(self, worker: int, workers: int, position: int = 0) -> list[ShufflePortion]:
        """Return what a worker reads in this epoch, from *position* of its part on."""
        order = random.Random(f"{self.seed}:{self.epoch}").sample(self.shares, len(self.shares))  # noqa: S311 - not a secret
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
            # A folder for each, which goes as a whole.
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
        shuffled = random.Random(f"{self.seed}:{self.epoch}:{shard.name}").sample(chosen, len(chosen))  # noqa: S311 - not a secret
        return shuffled[portion.start : portion.stop]

    def _order(self) -> list[Any]:
        """Return what the order of this worker's samples depends on, but for the epoch."""
        return [self._content, self.seed, self.batch_size, *_this_worker()]


class PositionalDataset(MapDataset):
    """A stream as transformers' Trainer reads data: by position.

    In ascending order it streams. Over the shares of a batch that other processes take it steps; a jump, as when training resumes, fetches nothing
    of what lies between.
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
    """The order of a stream's positions: as they come, since the stream itself shuffles by the epoch."""

    def __init__(self, stream: SampleStream) -> None:
        self.stream = stream

    @property
    def epoch(self) -> int:
        """The epoch's number."""
        return self.stream.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.stream.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.stream)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.stream)))


def batches_of(worker: int, workers: int, samples: int, batch_size: int) -> range:
    """Return which of the *samples* one of several *workers* gets: whole batches, but for the last one of all."""
    batches = -(-samples // batch_size)
    each, more = divmod(batches, workers)
    first = worker * each + min(worker, more)
    last = first + each + (worker < more)
    return range(min(first * batch_size, samples), min(last * batch_size, samples))


def find_portions(order: Sequence[ShardShare], wanted: range) -> list[ShufflePortion]:
    """Return the portions of the shares in *order* that hold the positions *wanted*."""
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
