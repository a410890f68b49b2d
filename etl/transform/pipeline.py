"""The transform from top to bottom."""

import hashlib
import json
import multiprocessing
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from etl.transform.archive import Pair, normalise_city, open_archive, pair_members
from etl.transform.card import write_card
from etl.transform.check import HASH_SIZE, Checked, check_chunk
from etl.transform.group import MAX_DISTANCE, group
from etl.transform.reasons import Reason
from etl.transform.shards import SAMPLES_PER_SHARD, write_shard
from etl.transform.split import assign
from etl.transform.tables import ASSIGNMENTS, HASHTAGS, read_assignments, write_assignments, write_hashtags
from snap2caption.errors import UserError
from snap2caption.manifest import NAME, SPLITS, File, Manifest, Source, Split, SplitSummary

DEFAULT_CITIES = ("newyork", "chicago", "sanfrancisco")

CODE_VERSION = 1
"""Counted up when the same corpus and settings give other samples than before."""

_CHUNK = 64
_AHEAD = 4

OnProgress = Callable[[int, int], None]


def transform(
    corpus: Path,
    out: Path,
    *,
    cities: Sequence[str] = DEFAULT_CITIES,
    seed: int = 0,
    previous: Path | None = None,
    source_urls: Sequence[str] = (),
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Make a dataset version from the corpus zip.

    The version is named by its content and settings, and published by one rename: a killed run leaves nothing under the final name, and the
    same input gives the same bytes, whatever the number of workers.

    Args:
        corpus: the zip.
        out: where to put the version's folder.
        cities: which to keep.
        seed: of the split.
        previous: manifest (or folder) of an earlier version, whose assignments stand.
        source_urls: where the zip came from, for the record.
        workers: processes; by default one per processor.
        on_progress: told pairs done and in all.

    Returns:
        The version's folder, ``out/<version>``.

    Raises:
        UserError: no zip, or nothing usable in it.
    """
    wanted = sorted({normalise_city(city) for city in cities} - {""})
    if not wanted:
        raise UserError("No city was given; give at least one, such as --cities newyork.")
    digest = _digest(corpus)
    settings: dict[str, Any] = {
        "cities": wanted,
        "seed": seed,
        "previous": Manifest.read(previous).version if previous else None,
        "near_duplicate_bits": MAX_DISTANCE,
        "hash_size": HASH_SIZE,
        "samples_per_shard": SAMPLES_PER_SHARD,
        "code": CODE_VERSION,
    }
    remembered = out / ".inputs" / _hash([digest, settings])
    if (known := _known(out, remembered)) is not None:
        return known
    work = out / f".work-{remembered.name[:16]}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    dropped: Counter[str] = Counter()
    with _pool(workers) as pool:
        samples = _check(pool, corpus, wanted, dropped, on_progress)
        splits = _split(samples, seed, read_assignments(previous) if previous else {})
        summaries = _write_splits(pool, corpus, work, samples, splits)
    learned = [sample for sample, split in zip(samples, splits, strict=True) if split == "train"]
    write_hashtags(work / HASHTAGS, learned)
    write_assignments(work / ASSIGNMENTS, samples, splits)
    content = [
        settings,
        dict(sorted(dropped.items())),
        {split: summary.model_dump() for split, summary in summaries.items()},
        [_file(work, name).sha256 for name in (HASHTAGS, ASSIGNMENTS)],
    ]
    manifest = Manifest(
        version=_hash(content)[:16],
        source=Source(urls=tuple(sorted(source_urls)), sha256=digest),
        settings=settings,
        dropped=dict(sorted(dropped.items())),
        splits=summaries,
        hashtags=_file(work, HASHTAGS),
        assignments=_file(work, ASSIGNMENTS),
    )
    write_card(work, manifest)
    (work / NAME).write_bytes(manifest.model_copy(update={"card": _file(work, "card.html")}).dump())
    return _publish(work, out / manifest.version, remembered)


def _check(
    pool: ProcessPoolExecutor, corpus: Path, cities: list[str], dropped: Counter[str], on_progress: OnProgress | None
) -> list[Checked]:
    with open_archive(corpus) as archive:
        pairs = pair_members(archive, cities, dropped)
    samples: list[Checked] = []
    images: set[str] = set()
    done = 0
    for chunk in _in_order(pool, corpus, pairs):
        for result in chunk:
            if isinstance(result, Reason):
                dropped[result] += 1
            elif result.image_sha256 in images:
                dropped[Reason.DUPLICATE] += 1
            else:
                images.add(result.image_sha256)
                samples.append(result)
        done += len(chunk)
        if on_progress:
            on_progress(done, len(pairs))
    if not samples:
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "it is empty"
        raise UserError(
            f"Nothing in {corpus} can be used for {', '.join(cities)} ({why}); check the cities and the zip."
        )
    return samples


def _in_order(pool: ProcessPoolExecutor, corpus: Path, pairs: Sequence[Pair]) -> Iterator[list[Checked | Reason]]:
    """Yield checked chunks in the order of the pairs, with a bounded number of them under way."""
    under_way: deque[Future[list[Checked | Reason]]] = deque()
    for start in range(0, len(pairs), _CHUNK):
        under_way.append(pool.submit(check_chunk, corpus, pairs[start : start + _CHUNK]))
        if len(under_way) >= _AHEAD * (os.cpu_count() or 1):
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def _split(samples: Sequence[Checked], seed: int, previous: dict[str, Split]) -> list[Split]:
    return assign([sample.pair.id for sample in samples], group(samples), seed, previous)


def _write_splits(
    pool: ProcessPoolExecutor, corpus: Path, work: Path, samples: Sequence[Checked], splits: Sequence[Split]
) -> dict[Split, SplitSummary]:
    members: dict[Split, list[Checked]] = {split: [] for split in SPLITS}
    for sample, split in zip(samples, splits, strict=True):
        members[split].append(sample)
    shards = {
        split: [
            pool.submit(write_shard, corpus, work, split, number, of_split[start : start + SAMPLES_PER_SHARD])
            for number, start in enumerate(range(0, len(of_split), SAMPLES_PER_SHARD))
        ]
        for split, of_split in ((split, _mixed(found)) for split, found in members.items())
    }
    return {
        split: SplitSummary(
            samples=len(members[split]),
            cities=dict(sorted(Counter(sample.pair.city for sample in members[split]).items())),
            shards=tuple(written.result() for written in shards[split]),
        )
        for split in SPLITS
    }


def _mixed(samples: Sequence[Checked]) -> list[Checked]:
    """Return samples in an order that mixes cities and days, so that a shard is a fair sample of its split."""
    return sorted(samples, key=lambda sample: hashlib.sha256(sample.pair.id.encode()).digest())


def _pool(workers: int | None) -> ProcessPoolExecutor:
    # Spawned, not forked: the caller may have threads (a progress bar, Airflow's task runner).
    return ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=multiprocessing.get_context("spawn"))


def _digest(corpus: Path) -> str:
    try:
        with corpus.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise UserError(f"There is no corpus at {corpus}; fetch it with `snap2caption extract`.") from error


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _file(folder: Path, name: str) -> File:
    data = (folder / name).read_bytes()
    return File(name=name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


def _known(out: Path, remembered: Path) -> Path | None:
    try:
        version = out / remembered.read_text()
    except FileNotFoundError:
        return None
    return version if (version / NAME).is_file() else None


def _publish(work: Path, version: Path, remembered: Path) -> Path:
    for file in work.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    try:
        work.rename(version)
    except OSError:
        # Somebody was faster with the same content. Anything else in the way is an error.
        if not (version / NAME).is_file():
            raise
        shutil.rmtree(work)
    remembered.parent.mkdir(exist_ok=True)
    remembered.with_suffix(".part").write_text(version.name)
    remembered.with_suffix(".part").replace(remembered)
    return version
