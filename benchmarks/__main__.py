"""``python -m benchmarks``: run all and print the tables of docs/benchmarks.md."""

import platform
import tempfile
from pathlib import Path

from benchmarks import generation, transform
from benchmarks.table import markdown

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        rows = [transform.run(Path(folder)), generation.run()]
    print(f"{platform.machine()}, Python {platform.python_version()}; medians of five runs each, in turn\n")
    print(markdown(rows))
