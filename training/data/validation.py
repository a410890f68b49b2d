"""Data validation before training: what would end a training hours later, or be learned as it stands, is named by shard and id."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from snap2caption.console import progress_bar
from snap2caption.datasets.shards import FileSlice, Sample, read_shard, read_stream
from snap2caption.errors import UserError
from training.data.collator import SampleCollator
from training.data.photos import glance_at, open_photo
from training.data.posts import check_post
from training.data.samples import CachedDataset, SplitSelection
from training.data.shares import find_shares
from training.recipes.recipe import Recipe

_MARK = ".checked"
"""Beside a cached shard, which is named by its digest: each of its photos could be decoded. Of a stream, what was found in it."""


def check_data(
    recipe: Recipe, dataset: CachedDataset, collate: SampleCollator, feedback: CachedDataset | None = None
) -> int:
    """Check what *recipe* takes of *dataset*: every split has samples, every sample a post and a photo, and no id comes twice.

    So is what it learns from of *feedback*, if it mixes that in. A shard whose photos were decoded before is not decoded again.

    A streamed training split is read once, each shard verified, without decoding its photos: those are looked at where they begin and end. What is
    wrong in between is named when the training comes to it. Nothing of it is kept but its ids, on the disk; nor is it read again before a training
    that goes on.

    Returns:
        How many of the posts to learn have an end that *collate* cuts off.

    Raises:
        UserError: something is wrong; the sentence names the shard and the sample.
    """
    cut = _check(dataset, _selections(recipe), collate, stream=recipe.data.stream)
    return cut + (_check(feedback, [SplitSelection("train")], collate, stream=False) if feedback else 0)


def _check(
    dataset: CachedDataset, selections: Sequence[SplitSelection], collate: SampleCollator, *, stream: bool
) -> int:
    """Check what is selected, the training split last, and return how many of its posts are cut."""
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
        for share in progress.track(find_shares(dataset.manifest, selection), description="reading the stream once"):
            with dataset.source.verified(share.shard) as content:
                for sample in share.choose(read_stream(content, share.shard.name), dataset.uri):
                    ids.add(sample)
                    glance_at(sample)
                    cut += collate.is_cut(sample.post)
    return cut


def _check_photos(samples: Sequence[Sample]) -> None:
    names = {_file(sample): sample.shard for sample in samples}
    with progress_bar() as progress:
        new = sorted(file for file in names if not file.with_suffix(_MARK).exists())
        for file in progress.track(new, description="checking shards"):
            # All of them, selected or not: the mark is the whole shard's.
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
    """Return the file that says that the selections were checked, of these very shards; what is cut depends on the tokenizer as well."""
    shards = [shard.sha256 for selection in selections for shard in dataset.manifest.splits[selection.split].shards]
    what = repr((shards, selections, collate.vlm.base, collate.vlm.revision, collate.max_post_tokens))
    return dataset.cache / f"stream-{hashlib.sha256(what.encode()).hexdigest()}{_MARK}"


def _file(sample: Sample) -> Path:
    assert isinstance(sample.content, FileSlice)  # noqa: S101 - cached samples stay in their shards
    return sample.content.file


class _Ids:
    """The ids that were seen, each with its shard: in a database without a name, which SQLite keeps on the disk beyond 2 MB, and removes."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._seen = sqlite3.connect("")
        self._seen.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, shard TEXT) WITHOUT ROWID")

    def add(self, sample: Sample) -> None:
        """Add a sample's.

        Raises:
            UserError: it was seen before.
        """
        try:
            self._seen.execute("INSERT INTO ids VALUES (?, ?)", (sample.id, sample.shard))
        except sqlite3.IntegrityError as error:
            ((before,),) = self._seen.execute("SELECT shard FROM ids WHERE id = ?", (sample.id,))
            raise UserError(
                f"The id {sample.id!r} is in the shards {before} and {sample.shard} of {self._uri}, or twice in one; make the dataset again."
            ) from error

    def close(self) -> None:
        """Forget them."""
        self._seen.close()
