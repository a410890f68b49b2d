"""The stream of samples from real stores."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import until
from tiny import write_dataset
from torch.utils.data import DataLoader

from etl.load import load
from snap2caption.datasets.shards import read_shard
from snap2caption.datasets.version import DatasetVersion
from snap2caption.store import StoreError, retry
from training.data.samples import SplitSelection
from training.data.stream import SampleStream
from training.pipeline import train

pytestmark = [
    pytest.mark.integration,
    # On a machine with fewer processors.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

SHARDS = (20, 16, 3, 9)
RCLONE = Path(sys.executable).with_name("rclone")
CAN_MOUNT = shutil.which("fusermount3") is not None and Path("/dev/fuse").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("datasets") / "d00000000000"
    write_dataset(folder, {"train": SHARDS, "validation": 9, "test": 12})
    return folder


@pytest.fixture
def loaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path):
    """Load the version into a store of a kind; return its URI."""

    def load_it(kind: str) -> str:
        if kind == "file":
            return load(folder, (tmp_path / "store").as_uri())
        for name, value in request.getfixturevalue(f"{kind}_environment").items():
            monkeypatch.setenv(name, value)
        return load(folder, f"{kind}://streamed-from-{kind}/some/prefix")

    return load_it


def stream_of(where: str, scratch: Path) -> SampleStream:
    return SampleStream(DatasetVersion.open(where), SplitSelection("train"), batch_size=4, seed=3, scratch=scratch)


def photos_of(samples) -> list[tuple[str, bytes]]:
    return [(sample.id, sample.photo()) for sample in samples]


def local_photos(folder: Path) -> dict[str, bytes]:
    return {sample.id: sample.photo() for shard in folder.glob("train-*.tar") for sample in read_shard(shard)}


@pytest.mark.parametrize("kind", ["file", "s3", "swift"])
def test_workers_stream_a_version_from_a_store(loaded, folder: Path, tmp_path: Path, kind: str) -> None:
    stream = stream_of(loaded(kind), tmp_path / "scratch")
    seen: Counter[str] = Counter()
    for batch in DataLoader(stream, batch_size=4, num_workers=2, collate_fn=photos_of):
        seen.update(name for name, _ in batch)
        assert all(photo == local_photos(folder)[name] for name, photo in batch)
    assert seen == dict.fromkeys(local_photos(folder), 1)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_store_that_goes_away_is_one_sentence(loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = iter(stream_of(loaded("s3"), tmp_path / "scratch"))
    first = next(stream)
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.02)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    seen = [first.id]
    with pytest.raises(StoreError, match="can't be reached"):
        seen.extend(sample.id for sample in stream)
    # What had been fetched was handed out, whole.
    assert (
        Counter(name.rpartition("-")[0] for name in seen).items()
        <= {f"train-{number:06d}": size for number, size in enumerate(SHARDS)}.items()
    )
    assert list((tmp_path / "scratch").iterdir()) == []


@contextmanager
def mounted(uri: str, where: Path) -> Iterator[None]:
    """Mount what *uri* (``s3://``) names, as a training node does."""
    where.mkdir()
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": os.environ["AWS_ENDPOINT_URL"],
        "ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    environment = os.environ | {f"RCLONE_CONFIG_STORE_{name}": value for name, value in settings.items()}
    command = [RCLONE, "mount", "--config", os.devnull, "--read-only", f"store:{uri.removeprefix('s3://')}", where]
    with subprocess.Popen(command, env=environment) as process:
        try:
            until(lambda: process.poll() is not None or any(where.iterdir()))
            assert process.poll() is None
            yield
        finally:
            process.terminate()


@pytest.mark.skipif(not CAN_MOUNT, reason="needs /dev/fuse and fusermount3")
def test_a_mounted_version_streams_as_well(loaded, folder: Path, tmp_path: Path) -> None:
    with mounted(loaded("s3"), tmp_path / "mount"):
        seen = dict(photos_of(stream_of(str(tmp_path / "mount"), tmp_path / "scratch")))
    assert seen == local_photos(folder)


def test_a_recipe_trains_from_the_stream(settings, recipe_with, loaded) -> None:
    uri = loaded("s3")
    run_id = train(recipe_with(data={"uri": uri, "stream": True}), settings)
    fetched = {path.name for path in (settings.state_dir / "shards").glob("*.tar")}
    splits = DatasetVersion.open(uri).manifest.splits
    # The training split was never kept.
    assert fetched == {f"{shard.sha256}.tar" for split in ("validation", "test") for shard in splits[split].shards}
    assert run_id
