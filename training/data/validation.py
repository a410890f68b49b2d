"""Data validation before training.

It finds errors that would end a training hours later, or that the model would learn. Messages name the shard and
the sample.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from snap2caption.command_line.console import progress_bar
from snap2caption.datasets.shards import FileSlice, Sample, read_shard, read_stream
from snap2caption.errors import UserError
from snap2caption.temporary_database import open_temporary_database
from training.data.collator import SampleCollator
from training.data.photos import check_photo_markers, open_photo
from training.data.posts import check_post
from training.data.samples import CachedDataset, SplitSelection
from training.data.shares import find_shares
from training.recipes.recipe import Recipe

_MARK = ".checked"
"""Suffix of the marker file next to a cached shard, which is named by its digest: all of its photos can be decoded.
For a stream, the file holds the result of the check.
"""


def check_data(
    recipe: Recipe, dataset: CachedDataset, collate: SampleCollator, feedback: CachedDataset | None = None
) -> int:
    """Check the data that *recipe* takes from *dataset*.

    Every split must have samples, every sample a post and a photo, and ids must be unique. The training split of
    *feedback* is checked too, if the recipe mixes it in. A shard whose photos were decoded before is not decoded
    again.

    A streamed training split is read once. Each shard is verified, but its photos are not decoded: only their
    beginnings and ends are checked. Training reports other damage when it reaches the photo. Only the ids are kept,
    on disk, and a resumed training does not read the stream again.

    Returns:
        The number of training posts that *collate* truncates.

    Raises:
        UserError: a check failed; the message names the shard and the sample.
    """
    cut = _check(dataset, _selections(recipe), collate, stream=recipe.data.stream)
    return cut + (_check(feedback, [SplitSelection("train")], collate, stream=False) if feedback else 0)


def _check(
    dataset: CachedDataset, selections: Sequence[SplitSelection], collate: SampleCollator, *, stream: bool
) -> int:
    """Check the selections, the training split last, and return how many of its posts are truncated."""
    *others, train = selections
    with closing(_Ids(dataset.uri)) as ids:
        for selection in others:
            _check_cached(dataset, selection, ids)
        if not stream:
            return sum(collate.is_cut(sample.post) for sample in _check_cached(dataset, train, ids))
        mark = _mark_of_stream(dataset, selections, collate)
        if not mark.exists():
            draft = mark.with_suffix(".partial")
            draft.write_text(str(_check_streamed(dataset, train, ids, collate)))
            draft.replace(mark)
    return int(mark.read_text())


def _check_cached(dataset: CachedDataset, selection: SplitSelection, ids: "_Ids") -> list[Sample]:
    samples = dataset.samples(selection.split, selection.cities, selection.per_city)
    for sample in samples:
        check_post(sample)
        ids.add(sample)
    _check_photos(samples)
    return samples


def _check_streamed(dataset: CachedDataset, selection: SplitSelection, ids: "_Ids", collate: SampleCollator) -> int:
    cut = 0
    with progress_bar() as progress:
        for share in progress.track(find_shares(dataset.manifest, selection), description="checking the stream"):
            with dataset.source.verified(share.shard) as content:
                for sample in share.choose(read_stream(content, share.shard.name), dataset.uri):
                    ids.add(sample)
                    check_photo_markers(sample)
                    cut += collate.is_cut(sample.post)
    return cut


def _check_photos(samples: Sequence[Sample]) -> None:
    names = {_file(sample): sample.shard for sample in samples}
    with progress_bar() as progress:
        new = sorted(file for file in names if not file.with_suffix(_MARK).exists())
        for file in progress.track(new, description="checking shards"):
            # Decode all photos, selected or not, because the marker stands for the whole shard.
            for sample in read_shard(file, names[file]):
                open_photo(sample)
            file.with_suffix(_MARK).touch()


def _selections(recipe: Recipe) -> list[SplitSelection]:
    data = recipe.data
    found = [SplitSelection("validation", data.cities, data.samples_per_city)]
    if recipe.evaluation.split == "test":
        found.append(SplitSelection("test", data.cities))
    return [*found, SplitSelection("train", data.cities, data.samples_per_city)]


def _mark_of_stream(dataset: CachedDataset, selections: Sequence[SplitSelection], collate: SampleCollator) -> Path:
    """Return the marker file for these selections of these shards.

    Its name also covers the tokenizer, which decides what is truncated.
    """
    shards = [shard.sha256 for selection in selections for shard in dataset.manifest.splits[selection.split].shards]
    what = repr((shards, selections, collate.vlm.base, collate.vlm.revision, collate.max_post_tokens))
    return dataset.cache / f"stream-{hashlib.sha256(what.encode()).hexdigest()}{_MARK}"


def _file(sample: Sample) -> Path:
    assert isinstance(sample.content, FileSlice)  # noqa: S101 - cached samples stay in their shards
    return sample.content.file


class _Ids:
    """The ids seen so far, each with its shard, on disk."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._seen = open_temporary_database()
        self._seen.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, shard TEXT) WITHOUT ROWID")

    def add(self, sample: Sample) -> None:
        """Add the id of a sample.

        Raises:
            UserError: the id was seen before.
        """
        try:
            self._seen.execute("INSERT INTO ids VALUES (?, ?)", (sample.id, sample.shard))
        except sqlite3.IntegrityError as error:
            ((before,),) = self._seen.execute("SELECT shard FROM ids WHERE id = ?", (sample.id,))
            raise UserError(
                f"The id {sample.id!r} occurs more than once in {self._uri} (shards {before} and {sample.shard}); "
                "make the dataset again."
            ) from error

    def close(self) -> None:
        """Close and remove the database."""
        self._seen.close()
