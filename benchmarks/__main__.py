"""Benchmark runner: run all or some benchmarks, and print the tables of docs/benchmarks.md.

Usage: ``python -m benchmarks [NAME…]``.
"""

import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import evaluation, generation
from benchmarks.etl import curation, extract, load, transform
from benchmarks.serving import compare, outbox, state
from benchmarks.table import TableRow, markdown
from benchmarks.training import smolvlm

BENCHMARKS: dict[str, Callable[[Path], list[TableRow]]] = {
    "etl.extract": lambda folder: [extract.run(folder)],
    "etl.transform": transform.run,
    "etl.curation": curation.run,
    "etl.load.s3": lambda folder: [load.run(folder, "s3", transfers) for transfers in (4, 8)],
    "etl.load.swift": lambda folder: [load.run(folder, "swift", transfers) for transfers in (4, 8)],
    "evaluation": lambda _: [evaluation.run()],
    "generation": lambda _: [generation.run()],
    "serving.demo": lambda folder: compare.run(folder, "demo"),
    "serving.smolvlm": lambda folder: compare.run(folder, "smolvlm-256m-unsplit"),
    "serving.outbox": outbox.run,
    "serving.state": state.run,
    "training": lambda _: [row for epochs in (3, 1) for row in smolvlm.run(epochs)],
}

if __name__ == "__main__":
    asked = sys.argv[1:] or [""]
    names = [name for name in BENCHMARKS if any(f"{name}.".startswith(f"{one}." if one else "") for one in asked)]
    if unknown := {one for one in asked if one and not any(f"{name}.".startswith(f"{one}.") for name in BENCHMARKS)}:
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; give some of {', '.join(BENCHMARKS)}.")
    rows: list[TableRow] = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            rows += BENCHMARKS[name](Path(folder))
    print(f"{platform.machine()}, Python {platform.python_version()}; medians of several runs each, in turn\n")
    print(markdown(rows))
