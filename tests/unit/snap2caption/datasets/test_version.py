import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny import write_dataset

from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError
from snap2caption.store import StoreError

pytestmark = pytest.mark.unit

NO_ROOM = """
import resource, sys
from pathlib import Path
from snap2caption.datasets.version import DatasetVersion
from snap2caption.errors import UserError

dataset = DatasetVersion.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    dataset.fetch(dataset.manifest.splits["train"].shards[0], Path(sys.argv[2]))
except UserError as error:
    print(error)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dataset(tmp_path / "v1", {"train": 6, "validation": 3, "test": 3})
    return tmp_path / "v1"


def shard_of(dataset: DatasetVersion):
    return dataset.manifest.splits["train"].shards[0]


def test_a_plain_folder_is_a_dataset_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = DatasetVersion.open(folder.as_uri())
    assert DatasetVersion.open(str(folder)) == opened
    monkeypatch.chdir(folder.parent)
    assert DatasetVersion.open("v1/") == opened
    assert opened.uri == folder.as_uri()


@pytest.mark.parametrize("where", ["nowhere", "file:///nowhere/v1", "ftp://host/v1"])
def test_no_dataset_is_one_sentence(where: str) -> None:
    with pytest.raises(UserError):
        DatasetVersion.open(where)


def test_a_copy_is_kept_and_used_again(folder: Path, tmp_path: Path) -> None:
    dataset = DatasetVersion.open(folder.as_uri())
    original = (folder / shard_of(dataset).name).read_bytes()
    copy = dataset.fetch(shard_of(dataset), tmp_path / "cache")
    assert copy.read_bytes() == original
    (folder / shard_of(dataset).name).unlink()
    assert dataset.fetch(shard_of(dataset), tmp_path / "cache") == copy
    copy.write_bytes(b"rubbish")
    with pytest.raises(StoreError, match="has no train"):
        dataset.fetch(shard_of(dataset), tmp_path / "cache")


def test_a_damaged_file_is_named_and_not_kept(folder: Path, tmp_path: Path) -> None:
    dataset = DatasetVersion.open(folder.as_uri())
    shard = folder / shard_of(dataset).name
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(UserError, match=r"train-000000.tar of .* is damaged .*; load the version again"):
        dataset.fetch(shard_of(dataset), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_many_may_ask_for_the_same_copy(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = DatasetVersion.open(folder.as_uri())
    with caplog.at_level("INFO"), ThreadPoolExecutor(8) as pool:
        copies = set(pool.map(lambda _: dataset.fetch(shard_of(dataset), tmp_path / "cache"), range(16)))
    assert len(copies) == 1
    assert caplog.text.count("fetching") == 1


def test_no_room_is_one_sentence_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", NO_ROOM, folder.as_uri(), str(tmp_path / "cache")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "train-000000.tar can't be kept in" in said
    assert "make room there, then try again." in said
    assert list((tmp_path / "cache").iterdir()) == []
