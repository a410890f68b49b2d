"""Merge stage: the usable pairs of all slices are grouped, split and written as a version."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.local_copy import local_copy
from etl.transform.archive.members import no_usable_samples_error
from etl.transform.atomic_files import digest_of, sync
from etl.transform.bucket_sort import sorted_by_hash
from etl.transform.curation.settings import ResizeSettings
from etl.transform.rejection_reasons import RejectionReason
from etl.transform.splitting.grouping import group
from etl.transform.splitting.split import assign
from etl.transform.stages.curate import view_checked, write_curated
from etl.transform.workers import WorkerPool
from etl.transform.working_tables import BATCH, batches, digests, open_database, read_batches, view, write_table
from etl.transform.workspace import TransformPlan, Workspace
from etl.transform.writing.card import CARD, DataCard
from etl.transform.writing.distributions import find_distributions
from etl.transform.writing.duplicate_examples import find_duplicate_examples
from etl.transform.writing.records import record_batch
from etl.transform.writing.rejected_page import draw_rejected
from etl.transform.writing.shard_writer import SAMPLES_PER_SHARD, write_shard
from etl.transform.writing.tables import ASSIGNMENTS, HASHTAGS, write_assignments, write_hashtags
from snap2caption.datasets.croissant import CROISSANT, croissant
from snap2caption.datasets.manifest import (
    NAME,
    SPLITS,
    CorpusSource,
    File,
    Manifest,
    PhotoMetadata,
    Shard,
    Split,
    SplitSummary,
)
from snap2caption.datasets.records import record_schema, records_name

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_BYTES = "SELECT coalesce(sum(image_compressed), 0)::BIGINT FROM checked WHERE reason IS NULL"

_DROPPED = "SELECT reason, count(*) FROM checked GROUP BY reason"

# Of samples with the same image, keep the one that an earlier version had, in the most protected split; else
# the first. Captions that are not distinctive match no others.
_SAMPLES = """
SELECT id, dense_rank() OVER (ORDER BY city) - 1 AS city, image_hash,
    coalesce(caption_digest, unhex(sha256(id))) AS caption_digest, earlier
FROM (
    SELECT id, city, image_hash, caption_digest, image_digest,
        coalesce(list_position(['train', 'validation', 'test'], split) - 1, -1) AS earlier
    FROM checked LEFT JOIN earlier USING (id)
    WHERE reason IS NULL
)
QUALIFY row_number() OVER (PARTITION BY image_digest ORDER BY earlier DESC, id) = 1
ORDER BY id
"""

# Cities and days are mixed, so that each shard is a fair sample of its split.
_POSTS = """
SELECT id, city, image_offset, image_compressed, image_size, image_method, image_crc,
    caption, hashtags, image_metadata, named."group", sha256(id) AS hash
FROM checked
JOIN (SELECT id, split, min(id) OVER (PARTITION BY "group") AS "group" FROM assigned) AS named USING (id)
WHERE split = $split
"""

_SIZE = "SELECT count(*) FROM assigned WHERE split = $split"


_METADATA = """
SELECT count(*), count(*) FILTER (image_metadata = 2) FROM checked JOIN assigned USING (id) WHERE image_metadata > 0
"""


def write_version(work: Workspace, plan: TransformPlan, source: CorpusSource, pool: WorkerPool) -> Manifest:
    """Write every file of the version into the work folder's draft, the manifest last.

    Memory holds some 60 bytes per usable pair while samples are grouped and assigned. Everything else is on disk.

    Raises:
        UserError: nothing is usable.
    """
    shutil.rmtree(work.draft, ignore_errors=True)
    work.draft.mkdir()
    # What comes before the shards keeps one core busy. So does the copy.
    with local_copy(plan.corpus, plan.bytes, _bytes_of_photos(work, plan), plan.pairs, work.folder) as corpus:
        _curate(work, plan)
        dropped = _select_samples(work, plan)
        _assign(work, plan)
        _write_posts(work, plan)
        with ThreadPoolExecutor(1) as background:
            # This process would be idle while the others write shards.
            tables = background.submit(_write_tables, work, plan)
            shards = {split: _write_shards(work, plan, corpus(), pool, split) for split in SPLITS}
            card, metadata = tables.result()
    summaries = {split: _summarize(shards[split]) for split in SPLITS}
    hashtags, assignments = (file_of(work.draft, name) for name in (HASHTAGS, ASSIGNMENTS))
    settings = plan.settings.document()
    content = [
        settings,
        dropped,
        {split: summary.model_dump() for split, summary in summaries.items()},
        [hashtags.sha256, assignments.sha256],
        metadata.model_dump(),
    ]
    manifest = Manifest(
        version=hash_of(content)[:16],
        source=source,
        settings=settings,
        dropped=dropped,
        splits=summaries,
        hashtags=hashtags,
        assignments=assignments,
        metadata=metadata,
    )
    card.write(work.draft, manifest)
    records = {split: file_of(work.draft, records_name(split)) for split in SPLITS}
    manifest = describe(manifest.model_copy(update={"card": file_of(work.draft, CARD), "records": records}), work.draft)
    (work.draft / NAME).write_bytes(manifest.dump())
    return manifest


def describe(manifest: Manifest, folder: Path) -> Manifest:
    """Write the Croissant description of the version in *folder*; return its manifest with that file."""
    (folder / CROISSANT).write_bytes(croissant(manifest))
    return manifest.model_copy(update={"croissant": file_of(folder, CROISSANT)})


def hash_of(document: Any) -> str:
    """Return the SHA-256 of a document, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _curate(work: Workspace, plan: TransformPlan) -> None:
    """Write the table of the pairs that curation rejects by comparing them, if it was asked to."""
    work.curated.unlink(missing_ok=True)
    if (curation := plan.settings.curation) is not None:
        with _open(work, plan) as connection:
            write_curated(connection, curation, work.curated)


def _select_samples(work: Workspace, plan: TransformPlan) -> dict[str, int]:
    """Write the table of the kept samples, by id; return the number of rejected ones by reason."""
    with _open(work, plan) as connection:
        found = dict(connection.execute(_DROPPED).fetchall())
        usable = found.pop(None, 0)
        kept = write_table(work.samples, columns.samples(), batches(connection, _SAMPLES))
    dropped = Counter(plan.dropped) + Counter(found) + Counter({str(RejectionReason.DUPLICATE): usable - kept})
    if not kept:
        raise no_usable_samples_error(plan.corpus, plan.settings.cities, dropped)
    return dict(sorted(dropped.items()))


def _assign(work: Workspace, plan: TransformPlan) -> None:
    """Write the split of each sample."""
    groups = group(_Digests(work.samples, "caption_digest"), _Digests(work.samples, "image_hash"), work.folder)
    earlier = np.concatenate([column.to_numpy() for column in _read(work.samples, "earlier")])
    cities = np.concatenate([column.to_numpy().astype(np.int32) for column in _read(work.samples, "city")])
    splits = assign(_ids(work.samples), cities, groups, plan.settings.seed, earlier)
    write_table(work.assigned, columns.grouped(), _named(work.samples, splits, groups))


def _named(samples: Path, splits: npt.NDArray[np.int8], groups: npt.NDArray[np.int32]) -> Iterator["pa.RecordBatch"]:
    """Yield the ids with the names of their splits, and their groups."""
    import pyarrow as pa

    at = 0
    for ids in _read(samples, "id"):
        here = slice(at, at + len(ids))
        names = [SPLITS[split] for split in splits[here]]
        yield pa.record_batch([ids, pa.array(names), pa.array(groups[here], pa.int64())], columns.grouped())
        at += len(ids)


def _write_posts(work: Workspace, plan: TransformPlan) -> None:
    """Write the tables that the shards are written from."""
    import pyarrow as pa

    with _open(work, plan) as connection:
        view(connection, "assigned", work.assigned)
        for split in SPLITS:
            one = {"split": split}
            ((size,),) = connection.execute(_SIZE, one).fetchall()
            found = sorted_by_hash(connection, _POSTS, one, size, work.folder / "buckets")
            write_table(work.posts(split), columns.posts(), found, SAMPLES_PER_SHARD)
    # PyArrow keeps what it has freed for later: of ten million posts, 180 MB beside the workers.
    pa.default_memory_pool().release_unused()


def _write_tables(work: Workspace, plan: TransformPlan) -> tuple[DataCard, PhotoMetadata]:
    """Write the tables of the version; return its card, and the number of its photos that came with metadata."""
    with _open(work, plan) as connection:
        view(connection, "assigned", work.assigned)
        write_assignments(connection, work.draft / ASSIGNMENTS)
        photos, located = connection.execute(_METADATA).fetchall()[0]
        duplicates = find_duplicate_examples(connection, plan.corpus)
        distributions = []
        if (curation := plan.settings.curation) is not None:
            distributions = find_distributions(connection, curation)
            work.rejected.write_text(draw_rejected(connection, plan.corpus, curation), encoding="utf-8")
        # Hashtag statistics come from the train split alone, like everything that the model learns from.
        view(connection, "train", work.posts("train"))
        write_hashtags(connection, work.draft / HASHTAGS, work.folder / "buckets")
    card = DataCard.of_posts(work.posts("train"), plan.corpus, duplicates, distributions)
    return card, PhotoMetadata(photos=photos, located=located)


def _bytes_of_photos(work: Workspace, plan: TransformPlan) -> int:
    """Return the bytes that all usable photos have in the archive."""
    with _open(work, plan) as connection:
        return int(connection.execute(_BYTES).fetchall()[0][0])


def _write_shards(work: Workspace, plan: TransformPlan, corpus: Place, pool: WorkerPool, split: Split) -> list[Shard]:
    """Write the shards of a split, with the photos of *corpus*, and the table of its records."""
    import pyarrow.parquet as pq

    keep, curation = plan.settings.keep_metadata, plan.settings.curation
    resized = None if curation is None else curation.resize
    posts = work.posts(split)
    count = pq.read_metadata(posts).num_row_groups
    names = (work.draft / f"{split}-{number:06d}.tar" for number in range(count))
    tasks = ((corpus, posts, number, name, keep, resized) for number, name in enumerate(names))
    shards: list[Shard] = []

    def written() -> Iterator["pa.RecordBatch"]:
        for shard, records in pool.run(_write_shard, tasks):
            shards.append(shard)
            sync(work.draft / shard.name)  # while the next ones are written
            yield records

    write_table(work.draft / records_name(split), record_schema(), written())
    return shards


def _write_shard(
    corpus: Place, posts: Path, number: int, path: Path, keep_metadata: bool, resized: ResizeSettings | None
) -> tuple[Shard, "pa.RecordBatch"]:
    """Write a shard, as `write_shard` does; return it and its records."""
    shard, photos = write_shard(corpus, posts, number, path, keep_metadata, resized)
    return shard, record_batch(posts, number, shard, photos)


def _summarize(shards: Sequence[Shard]) -> SplitSummary:
    cities: Counter[str] = Counter()
    for shard in shards:
        cities.update(shard.cities)
    return SplitSummary(
        samples=sum(shard.samples for shard in shards), cities=dict(sorted(cities.items())), shards=tuple(shards)
    )


@contextmanager
def _open(work: Workspace, plan: TransformPlan) -> Iterator["DuckDBPyConnection"]:
    """Open a database with the views ``checked`` (the results for each pair) and ``earlier`` (the splits of an
    earlier version).
    """
    # These queries need half of the memory that the plan's do, and the workers need some beside them.
    with open_database(work.folder, plan.pairs // 2) as connection:
        view_checked(connection, [work.slice(number) for number in range(plan.slices)], work.curated)
        if work.earlier.exists():
            view(connection, "earlier", work.earlier)
        else:
            connection.execute("CREATE TABLE earlier (id VARCHAR, split VARCHAR)")
        yield connection


def _ids(table: Path) -> Iterator[str]:
    for batch in _read(table, "id"):
        yield from batch.to_pylist()


class _Digests:
    """A column of n digests as arrays (at most `BATCH`, bytes per digest), which can be read more than once."""

    def __init__(self, table: Path, name: str) -> None:
        self._table = table
        self._name = name

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        for column in _read(self._table, self._name):
            yield digests(column)


def _read(table: Path, name: str) -> Iterator["pa.Array"]:
    """Yield a column in batches."""
    for batch in read_batches(table, BATCH, [name]):
        yield batch.column(0)


def file_of(folder: Path, name: str) -> File:
    """Return the manifest's entry for a file of the version."""
    path = folder / name
    return File(name=name, sha256=digest_of(path), bytes=path.stat().st_size)
