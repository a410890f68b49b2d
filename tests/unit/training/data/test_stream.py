"""The stream of samples, from a folder and with workers that are real processes.

Real stores: tests/integration/training/test_stream.py.
"""

import math
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import CITIES, write_dataset
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from snap2caption.datasets.manifest import CorpusSource, File, Manifest, Shard, SplitSummary
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from training.data.samplers import SharedBatches
from training.data.samples import CachedDataset, SplitSelection
from training.data.stream import PositionalDataset, SampleStream, StreamOrder
from training.distributed import Ranks

pytestmark = [
    pytest.mark.unit,
    # On a machine with fewer processors.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

SHARDS = (9, 1, 14, 6, 12, 9)
TRAIN = SplitSelection("train")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets") / "v1"
    write_dataset(folder, {"train": SHARDS, "validation": 3, "test": 3})
    return folder


@pytest.fixture
def make(folder: Path, tmp_path: Path):
    def make_it(selection: SplitSelection = TRAIN, *, seed: int = 0, batch_size: int = 4) -> SampleStream:
        return SampleStream(
            DatasetVersion.open(str(folder)), selection, batch_size=batch_size, seed=seed, scratch=tmp_path / "scratch"
        )

    return make_it


def ids_of(samples) -> list[str]:
    return [sample.id for sample in samples]


def loader_of(stream: SampleStream, workers: int, kind=DataLoader):
    return kind(stream, batch_size=stream.batch_size, num_workers=workers, collate_fn=ids_of)


def planned(sizes: list[int]) -> DatasetVersion:
    """Return a dataset of which there is only the manifest."""
    shards = tuple(
        Shard(name=f"train-{number:06d}.tar", sha256=f"{number:064x}", samples=size, bytes=0, cities={"chicago": size})
        for number, size in enumerate(sizes)
    )
    manifest = Manifest(
        version="0123456789ab",
        source=CorpusSource(urls=(), sha256="0" * 64),
        settings={},
        dropped={},
        splits={"train": SplitSummary(samples=sum(sizes), cities={"chicago": sum(sizes)}, shards=shards)},
        hashtags=File(name="hashtags.parquet", sha256="0" * 64, bytes=0),
    )
    return DatasetVersion("file:///nowhere", manifest)


def positions(plan) -> list[tuple[str, int]]:
    return [(portion.share.shard.name, i) for portion in plan for i in range(portion.start, portion.stop)]


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    workers=st.integers(1, 5),
    batch_size=st.integers(1, 6),
    epoch=st.integers(0, 3),
)
def test_workers_share_an_epoch(sizes: list[int], workers: int, batch_size: int, epoch: int) -> None:
    stream = SampleStream(planned(sizes), TRAIN, batch_size=batch_size, seed=1, scratch=Path())
    stream.set_epoch(epoch)
    parts = [positions(stream.plan(worker, workers)) for worker in range(workers)]
    # Every sample once, in the order that a single worker would give, and as many batches as the loader's length says.
    assert [sample for part in parts for sample in part] == positions(stream.plan(0, 1))
    assert sorted(sample for part in parts for sample in part) == [
        (f"train-{number:06d}.tar", index) for number, size in enumerate(sizes) for index in range(size)
    ]
    assert len(stream) == sum(sizes)
    assert sum(math.ceil(len(part) / batch_size) for part in parts) == math.ceil(len(stream) / batch_size)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=8), workers=st.integers(1, 3), data=st.data())
def test_a_later_start_is_the_rest_of_the_plan(sizes: list[int], workers: int, data) -> None:
    stream = SampleStream(planned(sizes), TRAIN, batch_size=2, seed=1, scratch=Path())
    whole = positions(stream.plan(0, workers))
    position = data.draw(st.integers(0, len(whole)))
    assert positions(stream.plan(0, workers, position)) == whole[position:]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_sample_once_over_real_processes(make, folder: Path, workers: int) -> None:
    loader = loader_of(make(), workers)
    batches = list(loader)
    assert len(batches) == len(loader)
    seen = Counter(name for batch in batches for name in batch)
    assert seen == {f"train-{number:06d}-{index}": 1 for number, size in enumerate(SHARDS) for index in range(size)}


def test_the_order_depends_on_seed_and_epoch_alone(make) -> None:
    first = ids_of(make())
    assert ids_of(make()) == first
    stream = make()
    stream.set_epoch(1)
    second = ids_of(stream)
    assert sorted(second) == sorted(first) != second
    assert second != first
    stream.set_epoch(0)
    assert ids_of(stream) == first
    assert ids_of(make(seed=5)) != first
    # Shards come in another order than in the manifest, and samples in another one than in their shard.
    shards = list(dict.fromkeys(name.rpartition("-")[0] for name in first))
    assert shards != sorted(shards)
    assert [name for name in first if name.startswith("train-000002")] != [
        f"train-000002-{index}" for index in range(14)
    ]


def test_it_selects_what_the_cache_does(make, folder: Path, tmp_path: Path) -> None:
    cached = CachedDataset.open(str(folder), tmp_path / "cache")
    for cities, per_city in (([], None), (["newyork"], None), (["chicago", "newyork"], 7), ([], 2), ([], 10_000)):
        streamed = list(make(SplitSelection("train", cities, per_city)))
        expected = cached.samples("train", cities, per_city)
        assert {sample.id: sample for sample in streamed} == {sample.id: sample.loaded() for sample in expected}
        assert len(streamed) == len(expected)


def test_shards_that_hold_nothing_selected_are_not_fetched(make, folder: Path, caplog) -> None:
    caplog.clear()
    with caplog.at_level("INFO"):
        assert len(list(make(SplitSelection("train", ["chicago"], 3)))) == 3
    assert caplog.text.count("fetching") == 1


# torchdata's own, with this torch.
@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_anywhere_it_goes_on_as_if_uninterrupted(make, workers: int) -> None:
    def loader():
        stream = make(batch_size=3)
        stream.set_epoch(2)
        return loader_of(stream, workers, StatefulDataLoader)

    whole = list(loader())
    for stop in [*random.Random(0).sample(range(len(whole)), 5), len(whole)]:
        interrupted = loader()
        iterator = iter(interrupted)
        begun = [next(iterator) for _ in range(stop)]
        resumed = loader()
        resumed.load_state_dict(interrupted.state_dict())
        assert begun + list(resumed) == whole


def test_resuming_fetches_nothing_of_what_is_done(make, caplog) -> None:
    stream = make()
    iterator = iter(stream)
    done = [next(iterator).id for _ in range(30)]
    iterator.close()
    resumed = make()
    resumed.load_state_dict(stream.state_dict())
    caplog.clear()
    with caplog.at_level("INFO"):
        rest = ids_of(resumed)
        fetched = caplog.text.count("fetching")
    assert done + rest == ids_of(make())
    assert fetched == len({name.rpartition("-")[0] for name in rest}) < len(SHARDS)
    # Once: the next epoch begins at its beginning.
    assert len(list(resumed)) == len(resumed)


def test_a_position_in_another_stream_is_refused(make) -> None:
    state = make(seed=1).state_dict()
    for other in (make(seed=2), make(SplitSelection("train", ["chicago"]), seed=1), make(seed=1, batch_size=3)):
        with pytest.raises(UserError, match="belongs to another stream"):
            other.load_state_dict(state)


def test_two_shards_at_most_are_on_disk_and_none_afterwards(make, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    most = 0
    for sample in make():
        assert isinstance(sample.content, bytes)
        most = max(most, len([path for path in scratch.rglob("*") if path.suffix in {".tar", ".partial"}]))
    assert 1 <= most <= 2
    assert list(scratch.iterdir()) == []
    iterator = iter(make())
    next(iterator)
    iterator.close()
    assert list(scratch.iterdir()) == []


def test_samples_outlive_their_shard(make) -> None:
    samples = list(make())
    assert all(sample.photo()[:2] == b"\xff\xd8" for sample in samples)


@pytest.mark.parametrize("spoil", ["flip", "cut", "remove", "replace"])
@pytest.mark.parametrize("workers", [0, 2])
def test_nothing_of_a_damaged_shard_is_handed_out(tmp_path: Path, spoil: str, workers: int) -> None:
    folder = tmp_path / "v1"
    write_dataset(folder, {"train": SHARDS})
    dataset = DatasetVersion.open(str(folder))
    shard = folder / "train-000002.tar"
    data = bytearray(shard.read_bytes())
    if spoil == "flip":
        data[1500] ^= 1
        shard.write_bytes(data)
    elif spoil == "cut":
        shard.write_bytes(data[:-512])
    elif spoil == "remove":
        shard.unlink()
    else:
        shard.write_bytes((folder / "train-000004.tar").read_bytes())
    stream = SampleStream(dataset, TRAIN, batch_size=1, seed=0, scratch=tmp_path / "scratch")
    seen: list[str] = []
    with pytest.raises(UserError, match=r"train-000002\.tar"):
        seen.extend(name for batch in loader_of(stream, workers) for name in batch)
    assert seen
    assert not any(name.startswith("train-000002") for name in seen)


def test_a_manifest_that_lies_about_a_shard_is_noticed(folder: Path, tmp_path: Path) -> None:
    manifest = DatasetVersion.open(str(folder)).manifest
    train = manifest.splits["train"]
    first = train.shards[0].model_copy(update={"samples": 10})
    lying = manifest.model_copy(
        update={"splits": {"train": train.model_copy(update={"shards": (first, *train.shards[1:])})}}
    )
    stream = SampleStream(DatasetVersion(folder.as_uri(), lying), TRAIN, batch_size=1, seed=0, scratch=tmp_path)
    with pytest.raises(UserError, match=r"train-000000.tar .* does not match its manifest; run `snap2caption inspect"):
        list(stream)


def test_what_can_not_be_selected_is_one_sentence(make, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no city 'paris'"):
        make(SplitSelection("train", ["paris"]))
    manifest = DatasetVersion.open(str(folder)).manifest
    train = manifest.splits["train"]
    silent = train.model_copy(update={"shards": tuple(s.model_copy(update={"cities": None}) for s in train.shards)})
    dataset = DatasetVersion(folder.as_uri(), manifest.model_copy(update={"splits": {"train": silent}}))
    # Everything can be streamed, a choice can't.
    assert len(list(SampleStream(dataset, TRAIN, batch_size=1, seed=0, scratch=tmp_path))) == sum(SHARDS)
    with pytest.raises(UserError, match=r"make the dataset again with `transform`, or set data.stream=false"):
        SampleStream(dataset, SplitSelection("train", ["chicago"]), batch_size=1, seed=0, scratch=tmp_path)
    empty = SplitSummary(samples=0, cities=dict.fromkeys(CITIES, 0), shards=())
    with pytest.raises(UserError, match="is empty"):
        SampleStream(
            DatasetVersion(folder.as_uri(), manifest.model_copy(update={"splits": {"train": empty}})),
            TRAIN,
            batch_size=1,
            seed=0,
            scratch=tmp_path,
        )


def test_a_trainer_reads_it_by_position(make, caplog) -> None:
    whole = ids_of(make())
    stream = make()
    rows, order = PositionalDataset(stream), StreamOrder(stream)
    assert [rows[position].id for position in order] == whole
    caplog.clear()
    with caplog.at_level("INFO"):
        assert [rows[position].id for position in range(40, len(rows))] == whole[40:]
    assert caplog.text.count("fetching") == len({name.rpartition("-")[0] for name in whole[40:]})
    order.epoch = 1
    stream = make()
    stream.set_epoch(1)
    assert [rows[position].id for position in order] == ids_of(stream)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_reads_its_share_of_each_batch(make, caplog, rank: int) -> None:
    whole = ids_of(make())
    stream = make()
    rows = PositionalDataset(stream)
    batches = list(SharedBatches(StreamOrder(stream), 4, Ranks(rank, 2)))
    caplog.clear()
    with caplog.at_level("INFO"):
        for number, batch in enumerate(batches):
            mine = whole[4 * number : 4 * number + 4][2 * rank : 2 * rank + 2]
            if number < len(batches) - 1:
                assert [rows[position].id for position in batch] == mine
    # Each shard once: what lies between is passed over, not fetched again.
    assert caplog.text.count("fetching") == len(SHARDS)
