"""Data validation before training: what would end a training hours later, or be learned as it stands, is named by shard and id."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from snap2caption.console import progress_bar
from snap2caption.errors import UserError
from snap2caption.images import ImageError, decode
from snap2caption.post import render
from snap2caption.shards import Sample, Stored, read_shard
from training.data import CachedDataset, Selection
from training.recipe import Recipe

_MARK = ".checked"
"""Beside a cached shard, which is named by its digest: each of its photos could be decoded."""


def check_data(recipe: Recipe, dataset: CachedDataset, feedback: CachedDataset | None = None) -> None:
    """Check what *recipe* takes of *dataset*: every split has samples, every sample a post and a photo, and no id comes twice.

    So is what it learns from of *feedback*, if it mixes that in.

    A streamed training split is left to the stream, which checks each shard as it comes. A shard whose photos were decoded before is not
    decoded again.

    Raises:
        UserError: something is wrong; the sentence names the shard and the sample.
    """
    _check(dataset, _selections(recipe))
    if feedback is not None:
        _check(feedback, [Selection("train")])


def _check(dataset: CachedDataset, selections: Iterable[Selection]) -> None:
    seen: dict[str, str] = {}
    for selection in selections:
        samples = dataset.samples(selection.split, selection.cities, selection.per_city)
        names = {shard.sha256: shard.name for shard in dataset.manifest.splits[selection.split].shards}
        for sample in samples:
            place = names[_file(sample).stem]
            if sample.id in seen:
                raise UserError(
                    f"The id {sample.id!r} is in the shards {seen[sample.id]} and {place} of {dataset.uri}, or twice in one; make the dataset again."
                )
            seen[sample.id] = place
            check_post(sample, place)
        _check_photos(samples, names)


def check_post(sample: Sample, shard: str) -> None:
    """Check that *sample*, of the shard called *shard*, has words or hashtags to learn.

    Raises:
        UserError: it has none.
    """
    if not render(sample.post).strip():
        raise UserError(
            f"The sample {sample.id!r} of the shard {shard} has an empty post; make the dataset again with `transform`."
        )


def _check_photo(sample: Sample, shard: str) -> None:
    try:
        decode(sample.photo())
    except ImageError as error:
        raise UserError(
            f"The photo of the sample {sample.id!r} of the shard {shard} can't be used ({error}); make the dataset again with `transform`."
        ) from error


def _selections(recipe: Recipe) -> Iterator[Selection]:
    data = recipe.data
    if not data.stream:
        yield Selection("train", data.cities, data.samples_per_city)
    yield Selection("validation", data.cities, data.samples_per_city)
    if recipe.evaluation.split == "test":
        yield Selection("test", data.cities)


def _check_photos(samples: Sequence[Sample], names: dict[str, str]) -> None:
    new = sorted({file for sample in samples if not (file := _file(sample)).with_suffix(_MARK).exists()})
    with progress_bar() as progress:
        for file in progress.track(new, description="checking shards"):
            # All of them, selected or not: the mark is the whole shard's.
            for sample in read_shard(file, names[file.stem]):
                _check_photo(sample, names[file.stem])
            file.with_suffix(_MARK).touch()


def _file(sample: Sample) -> Path:
    assert isinstance(sample.content, Stored)  # noqa: S101 - cached samples stay in their shards
    return sample.content.file
