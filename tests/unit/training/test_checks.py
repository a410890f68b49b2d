"""Data that would end a training, or be learned as it stands, is named before the training begins."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import write_dataset

from snap2caption.errors import UserError
from training.checks import check_data
from training.data import CachedDataset

pytestmark = pytest.mark.unit

Change = Callable[[list[tuple[str, bytes]]], None]


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[[str, Change], CachedDataset]:
    """Change the members of a split's first shard, and let the manifest say so."""

    def make(split: str, change: Change) -> CachedDataset:
        folder = tmp_path / "v1"
        write_dataset(folder, {"train": 12, "validation": 3, "test": 6})
        manifest = json.loads((folder / "manifest.json").read_text())
        shard = manifest["splits"][split]["shards"][0]
        with tarfile.open(folder / shard["name"]) as archive:
            members = [(member.name, archive.extractfile(member).read()) for member in archive]
        change(members)
        with tarfile.open(folder / shard["name"], "w") as archive:
            for name, content in members:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        content = (folder / shard["name"]).read_bytes()
        shard |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return CachedDataset.open(folder.as_uri(), tmp_path / "shards")

    return make


def with_row(**values: Any) -> Change:
    def change(members: list[tuple[str, bytes]]) -> None:
        index = next(i for i, (name, _) in enumerate(members) if name.endswith(".json"))
        name, content = members[index]
        members[index] = (name, json.dumps({**json.loads(content), **values}).encode())

    return change


def with_photo(photo: bytes) -> Change:
    def change(members: list[tuple[str, bytes]]) -> None:
        index = next(i for i, (name, _) in enumerate(members) if name.endswith(".jpg"))
        members[index] = (members[index][0], photo)

    return change


def same_ids(members: list[tuple[str, bytes]]) -> None:
    for index, (name, content) in enumerate(members):
        if name.endswith(".json"):
            members[index] = (name, json.dumps({**json.loads(content), "id": "same"}).encode())


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_row(caption=" \n\t ", hashtags=[]), r"sample '.+' of the shard {split}-000000.tar has an empty post"),
        (with_row(caption=None), r"of the shard {split}-000000.tar .*caption: Input should be a valid string"),
        (with_row(caption=float("nan")), r"of the shard .*caption"),
        (with_row(hashtags=[1]), r"of the shard .*hashtags.0"),
        (with_photo(b"\xff\xd8not a jpeg"), r"photo of the sample '.+' of the shard {split}-000000.tar can't be used"),
        (with_photo(b""), r"photo of the sample '.+' of the shard {split}-000000.tar can't be used"),
        (same_ids, r"The id 'same' is in the shards {split}-000000.tar and {split}-000000.tar"),
    ],
)
def test_it_is_named_by_shard_and_id(damaged, recipe, split, change, told):
    dataset = damaged(split, change)
    with pytest.raises(UserError, match=told.replace("{split}", split)):
        check_data(recipe, dataset)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_told(recipe, tmp_path, split):
    write_dataset(tmp_path / "v1", {"train": 12, "validation": 3, "test": 6} | {split: 0})
    with pytest.raises(UserError, match=f"The {split} split of dataset .* is empty"):
        check_data(recipe, CachedDataset.open((tmp_path / "v1").as_uri(), tmp_path / "shards"))


def test_a_photo_that_was_not_selected_before_is_checked_too(damaged, recipe):
    def break_the_last(members):
        members[:] = [
            (name, b"" if name == max(found for found, _ in members if found.endswith(".jpg")) else content)
            for name, content in members
        ]

    dataset = damaged("train", break_the_last)
    few = recipe.model_copy(update={"data": recipe.data.model_copy(update={"samples_per_city": 1})})
    for asked in (few, recipe):
        with pytest.raises(UserError, match=r"photo of the sample .* of the shard train-000000.tar can't be used"):
            check_data(asked, dataset)


def test_feedback_is_checked_too(damaged, recipe, dataset):
    feedback = damaged("train", with_row(caption="", hashtags=[]))
    with pytest.raises(UserError, match=r"shard train-000000\.tar has an empty post"):
        check_data(recipe, dataset, feedback)


def test_what_is_well_is_decoded_once(damaged, recipe, monkeypatch):
    dataset = damaged("train", lambda _: None)
    assert sum(split.samples for split in dataset.manifest.splits.values()) == 21
    check_data(recipe, dataset)
    monkeypatch.setattr("training.checks.decode", lambda _: pytest.fail("decoded again"))
    check_data(recipe, dataset)
