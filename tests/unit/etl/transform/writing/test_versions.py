"""Folder of versions: intact versions are returned unchanged, damaged files are replaced."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import write_dataset

from etl.transform.stages.merge import describe
from etl.transform.writing.versions import FolderSlot
from snap2caption.datasets.manifest import NAME, Manifest

pytestmark = pytest.mark.unit

INPUT, OTHER_INPUT = "a" * 64, "b" * 64


class Versions:
    """A folder of versions, into which the same one is published again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._drafts = 0

    def slot(self, name: str = INPUT) -> FolderSlot:
        return FolderSlot(self.folder, name)

    def publish(self, name: str = INPUT, fetched_from: str = "http://example.com/c.zip") -> Path:
        """Make the version from the input *name*, which was fetched from somewhere."""
        self._drafts += 1
        draft = self.folder / f".draft-{self._drafts}"
        manifest = write_dataset(draft, {"train": [3, 3], "validation": 3, "test": 3})
        source = manifest.source.model_copy(update={"urls": (fetched_from,)})
        manifest = describe(manifest.model_copy(update={"source": source}), draft)
        (draft / NAME).write_bytes(manifest.dump())
        with self.slot(name).locked():
            return self.slot(name).publish(draft, manifest)


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path)


def state(version: Path) -> dict[str, tuple[int, bytes]]:
    """Each file's inode and content."""
    return {file.name: (file.stat().st_ino, file.read_bytes()) for file in version.iterdir() if file.is_file()}


def cut(version: Path) -> None:
    shard = version / "train-000001.tar"
    shard.write_bytes(shard.read_bytes()[:-512])


def flip(version: Path) -> None:
    table = bytearray((version / "hashtags.parquet").read_bytes())
    table[1] ^= 1
    (version / "hashtags.parquet").write_bytes(table)


def edit(version: Path, /, **changes: object) -> None:
    document = json.loads((version / NAME).read_bytes())
    (version / NAME).write_text(json.dumps(document | changes))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a shard cut short": cut,
    "a byte flipped": flip,
    "a shard gone": lambda version: (version / "test-000000.tar").unlink(),
    "the table gone and a folder there": lambda version: [
        (version / "hashtags.parquet").unlink(),
        (version / "x").mkdir(),
    ],
    "another version's manifest": lambda version: edit(version, version="0123456789abcdef"),
    "a manifest that lies": lambda version: edit(version, source={"urls": [], "sha256": "0" * 64}),
    "a manifest cut short": lambda version: (version / NAME).write_text("{"),
    "the manifest gone": lambda version: (version / NAME).unlink(),
    "all of it emptied": lambda version: [file.unlink() for file in version.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_replaced_and_the_rest_left(versions: Versions, damage: Callable[[Path], object]) -> None:
    version = versions.publish()
    before = state(version)
    assert versions.slot().existing() == version
    damage(version)
    assert versions.slot().existing() is None
    whole = {name: (inode, data) for name, (inode, data) in state(version).items() if data == before[name][1]}
    assert versions.publish() == version
    assert versions.slot().existing() == version
    after = state(version)
    assert {name: data for name, (_, data) in after.items()} == {name: data for name, (_, data) in before.items()}
    assert {name: after[name] for name in whole} == whole


def test_a_reader_reads_the_damaged_file_to_its_end(versions: Versions) -> None:
    version = versions.publish()
    cut(version)
    damaged = (version / "train-000001.tar").read_bytes()
    with (version / "train-000001.tar").open("rb") as reader:
        start = reader.read(512)
        versions.publish()
        assert start + reader.read() == damaged
    assert (version / "train-000001.tar").read_bytes() != damaged


def test_the_same_content_again_replaces_nothing_whole(versions: Versions) -> None:
    version = versions.publish()
    before = state(version)
    assert versions.publish(OTHER_INPUT, "http://example.org/again.zip") == version
    assert state(version) == before
    assert versions.slot().existing() == versions.slot(OTHER_INPUT).existing() == version
    # Mended from the other input, it is whole for both.
    cut(version)
    assert versions.slot().existing() is versions.slot(OTHER_INPUT).existing() is None
    versions.publish(OTHER_INPUT, "http://example.org/again.zip")
    assert versions.slot().existing() == versions.slot(OTHER_INPUT).existing() == version
    assert Manifest.read(version).source.urls == ("http://example.org/again.zip",)


def test_a_mending_that_was_cut_off_is_no_whole_version(versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    version = versions.publish()
    cut(version)
    flip(version)
    replace = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if target.name == "hashtags.parquet":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            versions.publish()
    assert versions.slot().existing() is None
    versions.publish()
    assert versions.slot().existing() == version
