"""Data that would end a training, or be learned as it stands, is named before the training begins."""

import dataclasses
import hashlib
import io
import json
import os
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import forks
import pytest
from tiny import write_dataset

from snap2caption.errors import UserError
from training.data.collator import SampleCollator
from training.data.samples import CachedDataset, SplitSelection, evaluation_prompt
from training.data.stream import SampleStream
from training.data.validation import check_data
from training.recipes.recipe import Recipe

pytestmark = pytest.mark.unit

UNSEEN = "\u2063\u200d\ufe0f\u2800 \u3164\u00ad\U000e0041"
"""Invisible characters, joiners and selectors of nothing, blanks of Braille and Hangul."""

Change = Callable[[list[tuple[str, bytes]]], None]


@pytest.fixture
def collate(load_tiny) -> SampleCollator:
    return SampleCollator(load_tiny(), evaluation_prompt, 256)


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


def cut_photo(members: list[tuple[str, bytes]]) -> None:
    index = next(i for i, (name, _) in enumerate(members) if name.endswith(".jpg"))
    members[index] = (members[index][0], members[index][1][:-100])


def same_ids(members: list[tuple[str, bytes]]) -> None:
    for index, (name, content) in enumerate(members):
        if name.endswith(".json"):
            members[index] = (name, json.dumps({**json.loads(content), "id": "same"}).encode())


@pytest.mark.parametrize("stream", [False, True], ids=["fetched", "streamed"])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_row(caption=" \n\t ", hashtags=[]), r"Sample '.+' in shard {split}-000000.tar has an empty post"),
        (with_row(caption=UNSEEN, hashtags=[]), r"Sample '.+' in shard {split}-000000.tar has an empty post"),
        (with_row(caption="", hashtags=["", " "]), r"in shard {split}-000000.tar has an empty post"),
        (with_row(caption=UNSEEN, hashtags=["#", UNSEEN]), r"in shard {split}-000000.tar has an empty post"),
        (
            with_row(caption="Fog.", hashtags=["fog", UNSEEN]),
            r"in shard {split}-000000.tar has an empty hashtag",
        ),
        (
            with_photo(b"<html>Not found</html>"),
            r"photo of sample '.+' in shard {split}-000000.tar can't be used",
        ),
        (cut_photo, r"photo of sample '.+' in shard {split}-000000.tar can't be used"),
        (with_row(caption=None), r"in shard {split}-000000.tar .*caption: Input should be a valid string"),
        (with_row(caption=float("nan")), r"in shard .*caption"),
        (with_row(hashtags=[1]), r"in shard .*hashtags.0"),
        (with_photo(b"\xff\xd8not a jpeg"), r"photo of sample '.+' in shard {split}-000000.tar can't be used"),
        (with_photo(b""), r"photo of sample '.+' in shard {split}-000000.tar can't be used"),
        (same_ids, r"The id 'same' occurs more than once in .* \(shards {split}-000000.tar and {split}-000000.tar\)"),
    ],
)
def test_it_is_named_by_shard_and_id(damaged, recipe, collate, split, stream, change, told):
    dataset = damaged(split, change)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"stream": stream})})
    with pytest.raises(UserError, match=told.replace("{split}", split)):
        check_data(recipe, dataset, collate)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_told(recipe, collate, tmp_path, split):
    write_dataset(tmp_path / "v1", {"train": 12, "validation": 3, "test": 6} | {split: 0})
    with pytest.raises(UserError, match=f"The {split} split of dataset .* is empty"):
        check_data(recipe, CachedDataset.open((tmp_path / "v1").as_uri(), tmp_path / "shards"), collate)


def test_a_photo_that_was_not_selected_before_is_checked_too(damaged, recipe, collate):
    def break_the_last(members):
        members[:] = [
            (name, b"" if name == max(found for found, _ in members if found.endswith(".jpg")) else content)
            for name, content in members
        ]

    dataset = damaged("train", break_the_last)
    few = recipe.model_copy(update={"data": recipe.data.model_copy(update={"samples_per_city": 1})})
    for asked in (few, recipe):
        with pytest.raises(UserError, match=r"photo of sample .* in shard train-000000.tar can't be used"):
            check_data(asked, dataset, collate)


def test_feedback_is_checked_too(damaged, recipe, collate, dataset):
    feedback = damaged("train", with_row(caption="", hashtags=[]))
    with pytest.raises(UserError, match=r"shard train-000000\.tar has an empty post"):
        check_data(recipe, dataset, collate, feedback)


def test_what_is_well_is_decoded_once(damaged, recipe, collate, monkeypatch):
    dataset = damaged("train", lambda _: None)
    assert sum(split.samples for split in dataset.manifest.splits.values()) == 21
    check_data(recipe, dataset, collate)
    monkeypatch.setattr("training.data.photos.decode", lambda _: pytest.fail("decoded again"))
    check_data(recipe, dataset, collate)


@pytest.fixture
def streamed(recipe) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"stream": True})})


def write_streamed(folder: Path, shards: Sequence[int]) -> CachedDataset:
    write_dataset(folder / "v1", {"train": shards, "validation": 3, "test": 6})
    return CachedDataset.open((folder / "v1").as_uri(), folder / "shards")


@pytest.mark.parametrize(("other", "shard"), [("train", "train-000001.tar"), ("test", "test-000000.tar")])
def test_an_id_that_comes_twice_in_a_stream_is_named(streamed, collate, tmp_path, other, shard):
    folder = tmp_path / "v1"
    dataset = write_streamed(tmp_path, (6, 6))
    # The whole shard once more, under another name.
    manifest = dataset.manifest
    twin = manifest.splits["train"].shards[0].model_copy(update={"name": shard})
    (folder / shard).write_bytes((folder / "train-000000.tar").read_bytes())
    summary = manifest.splits[other].model_copy(
        update={"shards": (*manifest.splits[other].shards[: shard.startswith("train")], twin), "cities": twin.cities}
    )
    if other == "train":
        summary = summary.model_copy(update={"cities": {city: 2 * count for city, count in twin.cities.items()}})
    lying = manifest.model_copy(update={"splits": {**manifest.splits, other: summary}})
    dataset = CachedDataset(dataclasses.replace(dataset.source, manifest=lying), dataset.cache)
    with pytest.raises(
        UserError, match=rf"The id 'train-000000-0' occurs more than once in {folder.as_uri()} \(shards \S+ and \S+\)"
    ):
        check_data(streamed, dataset, collate)


@pytest.mark.parametrize("spoil", ["flip", "cut", "remove"])
def test_a_damaged_shard_of_a_stream_is_named(streamed, collate, tmp_path, spoil):
    dataset = write_streamed(tmp_path, (6, 6))
    shard = tmp_path / "v1" / "train-000001.tar"
    data = bytearray(shard.read_bytes())
    # Within a picture's data, which nobody decodes here.
    data[900] ^= 1
    shard.write_bytes(data if spoil == "flip" else data[:-512])
    if spoil == "remove":
        shard.unlink()
    with pytest.raises(UserError, match=r"train-000001\.tar"):
        check_data(streamed, dataset, collate)


def test_a_stream_is_read_again_only_if_what_is_asked_changes(streamed, collate, tmp_path, monkeypatch):
    dataset = write_streamed(tmp_path, (6, 6))
    assert check_data(streamed, dataset, collate) == 0
    shorter = SampleCollator(collate.vlm, evaluation_prompt, 16)
    cut = check_data(streamed, dataset, shorter)
    assert cut == sum(shorter.is_cut(sample.post) for sample in dataset.samples("train")) > 0
    monkeypatch.setattr("training.data.validation.read_stream", lambda *_: pytest.fail("read again"))
    assert check_data(streamed, dataset, collate) == 0
    assert check_data(streamed, dataset, shorter) == cut


def test_the_memory_of_the_check_does_not_grow_with_the_stream(streamed, collate, tmp_path):
    def peak(shards: Sequence[int]) -> int:
        folder = tmp_path / str(len(shards))
        folder.mkdir()
        dataset = write_streamed(folder, shards)
        tracemalloc.start()
        check_data(streamed, dataset, collate)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak((60,))
    assert peak((60,) * 8) < 1.3 * peak((60, 60))


@pytest.mark.parametrize("stream", [False, True], ids=["fetched", "streamed"])
def test_a_photo_that_is_broken_within_is_named(damaged, recipe, streamed, collate, tmp_path, stream):
    def spoil(members: list[tuple[str, bytes]]) -> None:
        index = next(i for i, (name, _) in enumerate(members) if name.endswith(".jpg"))
        photo = members[index][1]
        # No scan is left of it, but what it begins and ends with.
        members[index] = (members[index][0], photo[: photo.index(b"\xff\xda")] + b"\xff\xd9")

    dataset = damaged("train", spoil)
    told = r"photo of sample '.+' in shard train-000000.tar can't be used"
    if not stream:
        with pytest.raises(UserError, match=told):
            check_data(recipe, dataset, collate)
        return
    check_data(streamed, dataset, collate)
    samples = SampleStream(dataset.source, SplitSelection("train"), batch_size=4, seed=0, scratch=tmp_path / "scratch")
    with pytest.raises(UserError, match=told):
        collate(list(samples))


def test_what_stands_around_a_photo_is_no_fault_of_it(damaged, streamed, collate):
    def surround(members: list[tuple[str, bytes]]) -> None:
        index = next(i for i, (name, _) in enumerate(members) if name.endswith(".jpg"))
        name, photo = members[index]
        thumbnail = b"\xff\xe1\x00\x06\xff\xda\xff\xd9"
        members[index] = (name, photo[:2] + thumbnail + photo[2:] + b"a phone's own notes" * 50)

    assert check_data(streamed, damaged("train", surround), collate) == 0


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_dry_run_ends_with_status_1(damaged, recipe, models_dir, tmp_path, stream):
    dataset = damaged("train", with_row(caption=UNSEEN, hashtags=["", " "]))
    (tmp_path / "recipe.yaml").write_text(recipe.dump())
    done = forks.run_command(
        [
            *(sys.executable, "-m", "snap2caption", "train", "--dry-run", "--config", str(tmp_path / "recipe.yaml")),
            *(f"data.uri={dataset.uri}", f"data.stream={stream}"),
        ],
        {**os.environ, "SNAP2CAPTION_MODELS_DIR": str(models_dir), "SNAP2CAPTION_STATE_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "in shard train-000000.tar has an empty post" in done.stderr
    assert "Traceback" not in done.stderr
