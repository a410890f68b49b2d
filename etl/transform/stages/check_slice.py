"""Check stage: worker processes check the pairs of one slice; each pair becomes a row, usable or not."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.corpus import open_corpus
from etl.transform.archive.member_reader import ArchiveMember, ArchivePair
from etl.transform.cleaning.check import CheckedSample, RejectedSample, check
from etl.transform.curation.settings import CurationSettings
from etl.transform.curation.steps import Curator
from etl.transform.workers import WorkerPool
from etl.transform.working_tables import read_group, write_table

if TYPE_CHECKING:
    import pyarrow as pa

_LEAST, _MOST = 64, 512
"""Pairs per task of a worker. A store's request costs as much as some hundred pairs' bytes, so one should be for many."""

_TASKS = 8
"""Tasks of a slice per process, at least, so that all end at about the same time."""


def load() -> None:
    """Import what checking a pair needs, which takes as long as checking a thousand pairs."""
    import pyarrow.parquet  # noqa: F401


def write_slice(
    pool: WorkerPool,
    corpus: Place,
    plan: Path,
    number: int,
    path: Path,
    on_checked: Callable[[int], None],
    *,
    keep_metadata: bool,
    curation: CurationSettings | None = None,
) -> None:
    """Check the pairs of slice *number* of the *plan*, and write them to *path*, in the plan's order.

    Columns: ``id`` and ``city``; the photo's location in the archive; ``caption`` and ``hashtags``, cleaned;
    ``image_metadata``, ``image_digest``, ``image_hash`` and ``caption_digest``; what *curation* measured; or
    ``reason``, why the pair can't be used. *on_checked* is called with the
    number of pairs that were checked since the last call.
    """
    import pyarrow.parquet as pq

    rows = pq.read_metadata(plan).row_group(number).num_rows
    pairs = pairs_per_task(rows, pool.count)
    chunks = ((corpus, plan, number, start, pairs, keep_metadata, curation) for start in range(0, rows, pairs))

    def checked() -> Iterator["pa.RecordBatch"]:
        for batch in pool.run(_check_chunk, chunks):
            yield batch
            on_checked(len(batch))

    write_table(path, columns.checked(), checked())


def pairs_per_task(pairs: int, processes: int) -> int:
    """Return how many of a slice's *pairs* one task is for, so that each process has several tasks."""
    return min(max(pairs // (processes * _TASKS), _LEAST), _MOST)


def _check_chunk(
    corpus: Place,
    plan: Path,
    number: int,
    start: int,
    size: int,
    keep_metadata: bool,
    curation: CurationSettings | None,
) -> "pa.RecordBatch":
    """Check a chunk of pairs; return their rows."""
    import pyarrow as pa

    chunk = _read(plan, number).slice(start, size)
    curator = None if curation is None else _load_curator(curation.model_dump_json())
    pairs = list(_pairs(chunk))
    with open_corpus(corpus) as archive:
        found = list(check(archive, pairs, keep_metadata=keep_metadata, curator=curator))
    # Not as they are: pickle would send the arrays of the whole slice, of which these are a part.
    table = {name: chunk[name].to_pylist() for name in ("id", "city", *columns.places("image"))}
    table |= {field.name: [getattr(one, field.name, None) for one in found] for field in fields(CheckedSample)}
    table["measures"] = [list(one.measures.items()) for one in found]
    table["reason"] = [one.reason if isinstance(one, RejectedSample) else None for one in found]
    return pa.RecordBatch.from_pydict(table, columns.checked())


@functools.lru_cache(maxsize=1)
def _load_curator(settings: str) -> Curator:
    """Return the steps with their models, which take a second to load."""
    return Curator(CurationSettings.model_validate_json(settings))


@functools.lru_cache(maxsize=1)
def _read(plan: Path, number: int) -> "pa.Table":
    """Return the pairs of a slice: some megabytes, cached for the worker's next chunk."""
    return read_group(plan, number)


def read_pairs(plan: Path, number: int) -> Iterator[ArchivePair]:
    """Yield the pairs of slice *number* of the *plan*."""
    return _pairs(_read(plan, number))


def _pairs(chunk: "pa.Table") -> Iterator[ArchivePair]:
    for id_, city, *numbers in zip(*(column.to_pylist() for column in chunk.columns), strict=True):
        yield ArchivePair(id_, city, ArchiveMember(*numbers[:5]), ArchiveMember(*numbers[5:]))
