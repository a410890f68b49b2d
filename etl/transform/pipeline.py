"""The transform from top to bottom."""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from etl.transform.archive import normalise_city, pair_members
from etl.transform.card import CARD, write_card
from etl.transform.check import HASH_SIZE, Checked, check_chunk
from etl.transform.group import MAX_DISTANCE, group
from etl.transform.reasons import Reason
from etl.transform.shards import SAMPLES_PER_SHARD, write_shard
from etl.transform.split import assign
from etl.transform.tables import ASSIGNMENTS, HASHTAGS, read_assignments, write_assignments, write_hashtags
from etl.transform.versions import open_slot
from etl.transform.workers import Workers, start_workers
from snap2caption.errors import UserError
from snap2caption.manifest import NAME, SPLITS, File, Manifest, Source, Split, SplitSummary

DEFAULT_CITIES = ("newyork", "chicago", "sanfrancisco")

CODE_VERSION = 2
"""Counted up when the same corpus and settings give other samples than before."""

_CHUNK = 64
"""Pairs that a worker is handed at a time."""

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
    with open_slot(out, _hash([digest, settings])) as slot:
        if (known := slot.known()) is not None:
            return known
        draft = slot.draft()
        earlier = read_assignments(previous) if previous else {}
        manifest = _make(
            corpus,
            draft,
            Source(urls=tuple(sorted(source_urls)), sha256=digest),
            settings,
            earlier,
            workers,
            on_progress,
        )
        return slot.publish(draft, manifest.version)


def _make(
    corpus: Path,
    draft: Path,
    source: Source,
    settings: dict[str, Any],
    earlier: Mapping[str, Split],
    workers: int | None,
    on_progress: OnProgress | None,
) -> Manifest:
    """Write every file of the version into the folder *draft*, the manifest last."""
    dropped: Counter[str] = Counter()
    with start_workers(workers) as pool:
        samples = _check(pool, corpus, settings["cities"], dropped, on_progress)
        splits = assign([sample.pair.id for sample in samples], group(samples), settings["seed"], earlier)
        summaries = _write_splits(pool, corpus, draft, samples, splits)
    # Learned from: the split alone that the model sees, too.
    learned = [sample for sample, split in zip(samples, splits, strict=True) if split == "train"]
    write_hashtags(draft / HASHTAGS, learned)
    current = {sample.pair.id: split for sample, split in zip(samples, splits, strict=True)}
    write_assignments(draft / ASSIGNMENTS, {**earlier, **current})
    content = [
        settings,
        dict(sorted(dropped.items())),
        {split: summary.model_dump() for split, summary in summaries.items()},
        [_file(draft, name).sha256 for name in (HASHTAGS, ASSIGNMENTS)],
    ]
    manifest = Manifest(
        version=_hash(content)[:16],
        source=source,
        settings=settings,
        dropped=dict(sorted(dropped.items())),
        splits=summaries,
        hashtags=_file(draft, HASHTAGS),
        assignments=_file(draft, ASSIGNMENTS),
    )
    write_card(draft, manifest, [])
    manifest = manifest.model_copy(update={"card": _file(draft, CARD)})
    (draft / NAME).write_bytes(manifest.dump())
    return manifest


def _check(
    pool: Workers, corpus: Path, cities: Sequence[str], dropped: Counter[str], on_progress: OnProgress | None
) -> list[Checked]:
    """Return the usable samples, in the order of their ids; of those with the same image the first."""
    pairs = pair_members(corpus, cities, dropped)
    samples: list[Checked] = []
    images: set[bytes] = set()
    done = 0
    chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
    for results in pool.run(check_chunk, ((corpus, chunk) for chunk in chunks)):
        for pair, result in zip(pairs[done : done + _CHUNK], results, strict=True):
            if isinstance(result, Reason):
                dropped[result] += 1
            elif result.image_digest in images:
                dropped[Reason.DUPLICATE] += 1
            else:
                images.add(result.image_digest)
                # What came back are copies: one object for each pair, and for each hashtag, is enough.
                samples.append(replace(result, pair=pair, hashtags=tuple(map(sys.intern, result.hashtags))))
        done += len(results)
        if on_progress:
            on_progress(done, len(pairs))
    if not samples:
        why = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items())) or "it is empty"
        raise UserError(
            f"Nothing in {corpus} can be used for {', '.join(cities)} ({why}); check the cities and the zip."
        )
    return samples


def _write_splits(
    pool: Workers, corpus: Path, draft: Path, samples: Sequence[Checked], splits: Sequence[Split]
) -> dict[Split, SplitSummary]:
    summaries = {}
    for split in SPLITS:
        pairs = [sample.pair for sample, its in zip(samples, splits, strict=True) if its == split]
        # Cities and days are mixed, so that a shard is a fair sample of its split.
        pairs.sort(key=lambda pair: hashlib.sha256(pair.id.encode()).digest())
        parts = enumerate(range(0, len(pairs), SAMPLES_PER_SHARD))
        tasks = ((corpus, draft, split, number, pairs[at : at + SAMPLES_PER_SHARD]) for number, at in parts)
        summaries[split] = SplitSummary(
            samples=len(pairs),
            cities=dict(sorted(Counter(pair.city for pair in pairs).items())),
            shards=tuple(pool.run(write_shard, tasks)),
        )
    return summaries


def _digest(corpus: Path) -> str:
    try:
        with corpus.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"There is no corpus at {corpus} ({error.strerror}); fetch it with `snap2caption extract`."
        ) from error


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _file(folder: Path, name: str) -> File:
    data = (folder / name).read_bytes()
    return File(name=name, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
