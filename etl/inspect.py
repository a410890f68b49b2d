"""Inspection of a dataset version in its store: contents, source and example samples."""

import itertools
from datetime import datetime

from pydantic import JsonValue
from rich.table import Table

from etl.text_tables import cell, new_table, render
from etl.verify import IntegrityIssue
from snap2caption.datasets.manifest import CorpusSource, Split
from snap2caption.datasets.shards import read_stream
from snap2caption.datasets.version import DatasetVersion
from snap2caption.formats.documents import FrozenModel


class SplitContent(FrozenModel):
    """Contents of a split, in numbers."""

    samples: int
    cities: dict[str, int]
    shards: int
    bytes: int


class Example(FrozenModel):
    """A sample without its photo."""

    id: str
    city: str
    caption: str
    hashtags: tuple[str, ...]


class Inspection(FrozenModel):
    """Summary of a version. ``faults`` is None if the version was not verified."""

    uri: str
    version: str
    created: datetime | None
    source: CorpusSource
    previous: str | None
    settings: dict[str, JsonValue]
    splits: dict[Split, SplitContent]
    dropped: dict[str, int]
    files: dict[str, int]
    """Sizes in bytes of the files that are not shards."""
    samples: tuple[Example, ...]
    faults: tuple[IntegrityIssue, ...] | None = None


def inspect(dataset: DatasetVersion, samples: int) -> Inspection:
    """Return a summary from the manifest, with the first *samples* of the training split. Only as much as
    needed is read.

    Raises:
        UserError: the store is unavailable, or the shard with the samples is damaged.
    """
    manifest = dataset.manifest
    shards = {shard.name for split in manifest.splits.values() for shard in split.shards}
    previous = manifest.settings.get("previous")
    return Inspection(
        uri=dataset.uri,
        version=manifest.version,
        created=manifest.created,
        source=manifest.source,
        previous=None if previous is None else str(previous),
        settings=manifest.settings,
        splits={
            split: SplitContent(
                samples=summary.samples,
                cities=summary.cities,
                shards=len(summary.shards),
                bytes=sum(shard.bytes for shard in summary.shards),
            )
            for split, summary in manifest.splits.items()
        },
        dropped=manifest.dropped,
        files={file.name: file.bytes for file in manifest.files() if file.name not in shards},
        samples=_first(dataset, samples),
    )


def _first(dataset: DatasetVersion, count: int) -> tuple[Example, ...]:
    examples: list[Example] = []
    for split in dataset.manifest.splits.values():
        for shard in split.shards:
            if len(examples) == count:
                return tuple(examples)
            with dataset.stream(shard) as stream:
                for sample in itertools.islice(read_stream(stream, shard.name), count - len(examples)):
                    post = sample.post
                    examples.append(
                        Example(id=sample.id, city=sample.city, caption=post.caption, hashtags=post.hashtags)
                    )
    return tuple(examples)


def draw(inspection: Inspection) -> str:
    """Return the inspection as text tables, as wide as the terminal."""
    last = []
    if inspection.faults is not None:
        count = len(inspection.faults)
        last.append("No fault was found." if not count else f"{count} fault{'s' if count > 1 else ''} found.")
    return render([*_tables(inspection), *last])


def _tables(inspection: Inspection) -> list[Table]:
    about = new_table("Version", "", "")
    for name, value in (
        ("version", inspection.version),
        ("at", inspection.uri),
        ("created", inspection.created),
        ("source", "\n".join(inspection.source.urls)),
        ("source's SHA-256", inspection.source.sha256),
        ("previous version", inspection.previous),
        *((name, value) for name, value in inspection.settings.items() if name != "previous"),
        *((name, f"{size:,} bytes") for name, size in inspection.files.items()),
    ):
        about.add_row(name, cell(value))
    about.show_header = False
    cities = sorted({city for split in inspection.splits.values() for city in split.cities})
    splits = new_table("Splits", "split", "samples", *cities, "shards", "bytes", numbers_from=1)
    for name, split in inspection.splits.items():
        counts = (split.samples, *(split.cities.get(city, 0) for city in cities), split.shards, split.bytes)
        splits.add_row(name, *(f"{count:,}" for count in counts))
    dropped = new_table("Dropped", "reason", "samples", numbers_from=1)
    for reason, count in sorted(inspection.dropped.items(), key=lambda item: (-item[1], item[0])):
        dropped.add_row(reason, f"{count:,}")
    samples = new_table("Samples", "id", "city", "caption", "hashtags")
    for sample in inspection.samples:
        tags = " ".join(f"#{tag}" for tag in sample.hashtags)
        samples.add_row(cell(sample.id), cell(sample.city), cell(sample.caption), cell(tags))
    faults = new_table("Faults", "file", "fault")
    for fault in inspection.faults or ():
        faults.add_row(cell(fault.file), cell(fault.fault))
    return [table for table in (about, splits, dropped, samples, faults) if table.row_count]
