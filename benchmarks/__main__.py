"""``python -m benchmarks [NAME…]``: run all or some, and print the tables of docs/benchmarks.md."""

import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import generation, transform
from benchmarks.etl import extract, load
from benchmarks.table import Row, markdown

BENCHMARKS: dict[str, Callable[[Path], Row]] = {
    "etl.extract": extract.run,
    "etl.load.s3": partial(load.run, kind="s3", transfers=4),
    "etl.load.s3.8": partial(load.run, kind="s3", transfers=8),
    "etl.load.swift": partial(load.run, kind="swift", transfers=4),
    "etl.load.swift.8": partial(load.run, kind="swift", transfers=8),
    "transform": transform.run,
    "generation": lambda _: generation.run(),
}

if __name__ == "__main__":
    names = sys.argv[1:] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; give some of {', '.join(BENCHMARKS)}.")
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(BENCHMARKS[name](Path(folder)))
    print(f"{platform.machine()}, Python {platform.python_version()}; medians of several runs each, in turn\n")
    print(markdown(rows))
