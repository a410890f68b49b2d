"""Corpus writer: a zip in the layout of InstaCities1M, and a file with the ground truth about its pictures."""

import json
import multiprocessing
import os
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from demo.corpus.drafts import open_draft
from demo.corpus.pairs import ScenePair, make_pair
from demo.corpus.traps import COUNT, TRAPPED_CITIES, make_traps
from snap2caption.datasets.corpus_members import caption_member, image_member, write_member
from snap2caption.errors import UserError

_CHUNK = 32
_AHEAD = 3
"""Chunks in flight per worker: enough to keep it busy, few enough that memory stays flat."""

_ORIGINALS = 3 * COUNT


def truth_path(out: Path) -> Path:
    """Return the path of the truth file beside the archive *out*: a JSON row per sample."""
    return out.with_name(f"{out.name}.scenes.jsonl")


def traps_path(out: Path) -> Path:
    """Return the path of the list of traps beside the archive *out*: the names of the members by trap."""
    return out.with_name(f"{out.name}.traps.json")


def write_corpus(
    out: Path,
    pairs: int,
    seed: int,
    traps: bool = False,
    progress: Callable[[int], None] | None = None,
    workers: int | None = None,
) -> Path:
    """Write a corpus of *pairs* pictures with captions.

    The archive appears whole or not at all, and its bytes depend on *pairs*, *seed* and *traps* alone.

    Args:
        out: the archive; its truth file, and its list of traps, stand beside it.
        pairs: how many good pairs.
        seed: picks the corpus.
        traps: add what real corpora have in them beside good pairs.
        progress: called with the number of pairs written since its last call.
        workers: processes that draw; as many as there are processors if left out.

    Returns:
        The archive's path.

    Raises:
        UserError: *out* can't be written.
    """
    try:
        with open_draft(out, "corpus") as draft:
            _write(draft, pairs, seed, traps, progress, workers)
            _publish(draft, out)
    except BrokenProcessPool as error:
        raise UserError(
            "A process that draws pictures was killed, most likely for lack of memory; try again with --workers 1."
        ) from error
    return out


def _write(
    out: Path, pairs: int, seed: int, traps: bool, progress: Callable[[int], None] | None, workers: int | None
) -> None:
    originals: list[ScenePair] = []
    with zipfile.ZipFile(out, "w") as archive, truth_path(out).open("w", encoding="utf-8") as truth:
        for done in _make_pairs(pairs, seed, workers or os.cpu_count() or 1):
            for pair in done:
                write_member(archive, image_member(pair.scene.city, pair.id, pair.image))
                write_member(archive, caption_member(pair.scene.city, pair.id, pair.caption))
                _write_row(truth, pair.truth())
                if len(originals) < _ORIGINALS and pair.scene.city in TRAPPED_CITIES:
                    originals.append(pair)
            if progress:
                progress(len(done))
        if traps:
            _write_traps(archive, truth, traps_path(out), seed, originals)


def _write_traps(archive: zipfile.ZipFile, truth: TextIO, listing: Path, seed: int, originals: list[ScenePair]) -> None:
    if len(originals) < _ORIGINALS:
        raise UserError(
            f"Traps copy {_ORIGINALS} pairs of {', '.join(TRAPPED_CITIES)}; ask for more --pairs (40 are plenty)."
        )
    names: dict[str, list[str]] = {}
    for trapped in make_traps(seed, originals):
        for member in trapped.members:
            write_member(archive, member)
            names.setdefault(trapped.trap.value, []).append(member.name)
        if trapped.truth:
            _write_row(truth, trapped.truth)
    listing.write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")


def _write_row(truth: TextIO, row: dict[str, Any]) -> None:
    truth.write(json.dumps(row) + "\n")


def _publish(draft: Path, out: Path) -> None:
    """Move what was written to its place, the archive last: where it stands, all of it stands."""
    truth_path(draft).replace(truth_path(out))
    if traps_path(draft).exists():
        traps_path(draft).replace(traps_path(out))
    else:
        traps_path(out).unlink(missing_ok=True)
    draft.replace(out)


def _make_chunk(seed: int, start: int, stop: int) -> list[ScenePair]:
    return [make_pair(seed, number) for number in range(start, stop)]


def _make_pairs(pairs: int, seed: int, workers: int) -> Iterator[list[ScenePair]]:
    """Yield the pairs in their order, a chunk at a time, however many processes draw them."""
    chunks = [(start, min(start + _CHUNK, pairs)) for start in range(0, pairs, _CHUNK)]
    if workers == 1 or len(chunks) <= 4:  # starting processes would take longer than the work
        for start, stop in chunks:
            yield _make_chunk(seed, start, stop)
        return
    with ExitStack() as stack:
        # Not forked: the caller may hold threads, such as a progress display's.
        pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        flying: deque[Future[list[ScenePair]]] = deque()
        for start, stop in chunks:
            flying.append(pool.submit(_make_chunk, seed, start, stop))
            if len(flying) >= workers * _AHEAD:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()
