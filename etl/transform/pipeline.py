"""Transform pipeline: the stages plan, check and merge, and all of them in turn."""

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, NamedTuple, cast

from etl.place import AnyPlace, Place, absolute
from etl.transform.archive.cities import choose_cities
from etl.transform.archive.corpus import digest_of_corpus, size_of_corpus
from etl.transform.archive.members import no_usable_samples_error
from etl.transform.atomic_files import atomic_write
from etl.transform.cleaning.picture import HASH_SIZE
from etl.transform.curation.embeddings import pin_model
from etl.transform.curation.settings import CurationSettings
from etl.transform.curation.steps import Curator
from etl.transform.slots import scan_folder, slot_in, slot_of
from etl.transform.splitting.grouping import MAX_DISTANCE
from etl.transform.stages.check_slice import load, write_slice
from etl.transform.stages.merge import hash_of, write_version
from etl.transform.stages.plan import find_cities, write_members, write_pairs
from etl.transform.workers import WorkerPool, start_workers
from etl.transform.workspace import TransformPlan, TransformSettings, Workspace
from etl.transform.writing.shard_writer import SAMPLES_PER_SHARD
from etl.transform.writing.tables import find_assignments
from etl.transform.writing.versions import file_lock
from snap2caption.datasets.manifest import CorpusSource, Manifest
from snap2caption.errors import UserError

SLICE_PAIRS = 25_000
"""Pairs per slice: between some seconds and a minute of work for one machine."""
MAX_SLICES = 1000
"""Airflow maps a task over at most 1,024 items by default."""

CODE_VERSION = 13
"""Incremented when the same corpus and settings produce other samples than before."""

OnProgress = Callable[[int, int], None]


class PlannedTransform(NamedTuple, Generic[AnyPlace]):
    """Plan of the work for one input."""

    work: AnyPlace
    """The folder or prefix for work in progress."""
    slices: int
    """The number of slices to check. 0: the version exists already, and `merge` returns it."""
    pairs: int
    version: AnyPlace | None = None
    """The version's folder or URI, if it exists already."""


def transform(
    corpus: Place,
    out: AnyPlace,
    *,
    cities: Sequence[str] | None = None,
    seed: int = 0,
    previous: Path | None = None,
    keep_metadata: bool = False,
    curation: CurationSettings | None = None,
    source_urls: Sequence[str] = (),
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> AnyPlace:
    """Make a dataset version from the corpus zip: `plan`, `check_slice` for every slice, `merge`.

    The version is named after its content and settings, and a single rename publishes it. A killed run leaves
    nothing under the final name, and the next run resumes where it stopped. An existing version is returned if
    it is intact; damaged files are made again. The same input gives the same bytes, for any number of workers,
    slices or machines.

    Args:
        corpus: the zip: a path, or an object's URI.
        out: where the version and the work in progress go: a folder, or a prefix in a store.
        cities, seed, previous, keep_metadata, curation: as for `plan`.
        source_urls: where the zip came from, for the record.
        workers: number of processes; by default one per processor.
        on_progress: called with the pairs done and their total.

    Returns:
        The version's folder or URI, ``out/<version>``.

    Raises:
        UserError: there is no zip, a city is not in it, or nothing in it is usable.
    """
    with start_workers(workers) as pool:
        pool.start(load)
        planned = plan(
            corpus, out, cities=cities, seed=seed, previous=previous, keep_metadata=keep_metadata, curation=curation
        )
        if planned.version is not None:
            return planned.version
        count = _PairCounter(on_progress, planned.pairs)
        for number in range(planned.slices):
            _check_slice(pool, planned.work, number, count)
        return cast("AnyPlace", _merge(pool, planned.work, source_urls))


def plan(
    corpus: Place,
    out: AnyPlace,
    *,
    cities: Sequence[str] | None = None,
    seed: int = 0,
    previous: Path | None = None,
    keep_metadata: bool = False,
    curation: CurationSettings | None = None,
    slice_pairs: int = SLICE_PAIRS,
) -> PlannedTransform[AnyPlace]:
    """Find the pairs in the corpus zip, and divide them into slices.

    Args:
        corpus: the zip: a path, or an object's URI.
        out: where the version and the work in progress go: a folder, or a prefix in a store. Every machine that takes
            part must see both.
        cities: which cities to keep; ``all`` keeps every city. By default those of `DEFAULT_CITIES` that the
            zip has.
        seed: seed of the split.
        previous: manifest (or folder) of an earlier version, whose split assignments are kept.
        keep_metadata: keep EXIF and all other metadata in photos. By default it is dropped
            (`etl.transform.cleaning.metadata`).
        curation: steps that reject samples by their content. None: no step runs.
        slice_pairs: pairs per slice. The version does not depend on it.

    Raises:
        UserError: there is no zip, a city is not in it, the cities have nothing usable, the earlier version
            does not exist, there are too many slices, or a step of the curation needs a package that is not
            installed.
    """
    corpus, out = absolute(corpus), absolute(out)
    if curation is not None:
        curation = pin_model(curation)
        Curator(curation)  # fail now rather than in every slice
    size_of_corpus(corpus)  # fail before anything is created in *out*
    earlier = find_assignments(previous) if previous else None
    with _disk_of(out), scan_folder(out, corpus) as folder, ThreadPoolExecutor(1) as background:
        # Both tasks read the corpus, each on its own core.
        digesting = background.submit(digest_of_corpus, corpus)
        members = folder / "members.parquet"
        write_members(corpus, members)
        settings = TransformSettings(
            cities=choose_cities(corpus, cities, find_cities(members)),
            seed=seed,
            previous=Manifest.read(previous).version if previous else None,
            near_duplicate_bits=MAX_DISTANCE,
            hash_size=HASH_SIZE,
            samples_per_shard=SAMPLES_PER_SHARD,
            keep_metadata=keep_metadata,
            code=CODE_VERSION,
            curation=curation,
        )
        digest = digesting.result()
        slot = slot_in(out, hash_of([digest, settings.document()]))
        with slot.locked(), slot.workspace(slice_pairs) as work:
            if (known := slot.existing()) is not None:
                slot.discard()
                return PlannedTransform(cast("AnyPlace", work.place), 0, 0, cast("AnyPlace", known))
            found = work.find_plan()
            if found is None:
                try:
                    found = _make_plan(work, corpus, digest, members, settings, earlier, slice_pairs)
                except UserError:
                    work.remove()  # there is nothing to resume
                    raise
            # The same zip may have moved since.
            work.write_plan(found.model_copy(update={"corpus": corpus}))
            return PlannedTransform(cast("AnyPlace", work.place), found.slices, found.pairs)


def check_slice(
    work: Path | str, number: int, *, workers: int | None = None, on_progress: OnProgress | None = None
) -> None:
    """Check the pairs of slice *number*, and write the results to *work*. Finished work is not repeated.

    Args:
        work: the folder or prefix that `plan` returned.
        number: the slice's number, from 0.
        workers: number of processes; by default one per processor.
        on_progress: called with the pairs done and their total.

    Raises:
        UserError: there is no plan or no such slice, or the corpus is gone.
    """
    with start_workers(workers) as pool:
        pool.start(load)
        _check_slice(pool, absolute(work), number, _PairCounter(on_progress))


def merge(work: AnyPlace, *, source_urls: Sequence[str] = (), workers: int | None = None) -> AnyPlace:
    """Make the version from the slices, all of which must exist, and remove *work*.

    Args:
        work: the folder or prefix that `plan` returned.
        source_urls: where the zip came from, for the record.
        workers: number of processes; by default one per processor.

    Returns:
        The version's folder or URI.

    Raises:
        UserError: there is no plan, a slice is missing, the corpus is gone, or nothing in it is usable.
    """
    with start_workers(workers) as pool:
        return cast("AnyPlace", _merge(pool, absolute(work), source_urls))


class _PairCounter:
    """Counter of the pairs done, in all slices or in the one being checked."""

    def __init__(self, on_progress: OnProgress | None, total: int = 0) -> None:
        self.total = total
        self._done = 0
        self._report = on_progress or (lambda _done, _total: None)

    def add(self, pairs: int) -> None:
        """Add *pairs* to the count, and report it."""
        self._done += pairs
        self._report(self._done, self.total)


def _make_plan(
    work: Workspace,
    corpus: Place,
    digest: str,
    members: Path,
    settings: TransformSettings,
    earlier: Path | None,
    slice_pairs: int,
) -> TransformPlan:
    work.slices.mkdir(parents=True, exist_ok=True)
    if earlier is not None:
        with atomic_write(work.earlier) as part:
            shutil.copyfile(earlier, part)
        work.keep(work.earlier)
    pairs, dropped = write_pairs(members, work.pairs, settings.cities, slice_pairs)
    if not pairs:
        raise no_usable_samples_error(corpus, settings.cities, dropped)
    if pairs > MAX_SLICES * slice_pairs:
        raise UserError(
            f"With {slice_pairs} pairs per slice, {pairs} pairs make more than {MAX_SLICES} slices; "
            f"give at least {math.ceil(pairs / MAX_SLICES)}."
        )
    work.keep(work.pairs)
    return TransformPlan(
        corpus=corpus,
        sha256=digest,
        bytes=size_of_corpus(corpus),
        settings=settings,
        pairs=pairs,
        slice_pairs=slice_pairs,
        dropped=dropped,
    )


def _check_slice(pool: WorkerPool, work: Place, number: int, count: _PairCounter) -> None:
    slot, slice_pairs = slot_of(work)
    with _disk_of(work), slot.locked(shared=True), slot.workspace(slice_pairs) as files:
        if files.find_plan() is None and slot.existing() is not None:
            return
        found = files.open_plan()
        if number >= found.slices:
            raise UserError(f"There is no slice {number} in {work}; the last one is {found.slices - 1}.")
        pairs = found.pairs_of(number)
        count.total = count.total or pairs
        path = files.slice(number)
        path.parent.mkdir(exist_ok=True)
        with file_lock(path.with_suffix(".lock")):
            if all(files.has([path])):
                count.add(pairs)
            else:
                write_slice(
                    pool,
                    found.corpus,
                    *files.fetch_pairs(number),
                    path,
                    count.add,
                    keep_metadata=found.settings.keep_metadata,
                    curation=found.settings.curation,
                )
                files.keep(path)


def _merge(pool: WorkerPool, work: Place, source_urls: Sequence[str]) -> Place:
    slot, slice_pairs = slot_of(work)
    with _disk_of(work), slot.locked(), slot.workspace(slice_pairs) as files:
        if (known := slot.existing()) is not None:
            slot.discard()
            return known
        found = files.open_plan()
        slices = [files.slice(number) for number in range(found.slices)]
        missing = [number for number, there in enumerate(files.has(slices)) if not there]
        if missing:
            raise UserError(
                f"{len(missing)} of {found.slices} slices are missing; make them, the first with "
                f"`snap2caption transform-slice {work} {missing[0]}`."
            )
        files.fetch(files.earlier, *slices)
        source = CorpusSource(urls=tuple(sorted(source_urls)), sha256=found.sha256)
        manifest = write_version(files, found, source, pool)
        if found.settings.curation is not None:
            # Beside the version, not in it. Before it, as nothing may be missing once the version is there.
            slot.put_beside(files.rejected, f"rejected-{manifest.version}.html")
        return slot.publish(files.draft, manifest)


@contextmanager
def _disk_of(place: Place) -> Iterator[None]:
    """Turn an OSError of the disk with *place*, or with a copy of what is there, into one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The transform can't continue in {place} ({error.strerror or error}); free some space or check the disk, "
            "then run it again: it resumes where it stopped."
        ) from error
