"""Paired timing of two implementations, and the table of results."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableRow:
    """Medians over the runs, and the median of the ratios pair by pair (above 1: ours is better)."""

    what: str
    peer: str
    ours: float
    theirs: float
    ratio: float
    unit: str = "s"


def compare(what: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object], runs: int = 5) -> TableRow:
    """Run both in turn, once to warm up and then *runs* times: machines drift, pairs drift together."""
    ours()
    theirs()
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(runs)]
    mine, others = zip(*pairs, strict=True)
    ratio = statistics.median(other / own for own, other in pairs)
    return TableRow(what, peer, statistics.median(mine), statistics.median(others), ratio)


def markdown(rows: list[TableRow]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | ours | peer | theirs | ratio |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.ours:.4g} {row.unit} | {row.peer} | {row.theirs:.4g} {row.unit} | {row.ratio:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
