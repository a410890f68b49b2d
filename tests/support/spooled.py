"""Arrays handed to the grouping, which reads what it compares from disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from etl.transform.splitting import grouping
from etl.transform.splitting.spooled_rows import SpooledRows


@contextmanager
def spooled(rows: np.ndarray) -> Iterator[SpooledRows]:
    with tempfile.TemporaryDirectory() as folder, SpooledRows(Path(folder, "rows"), rows.shape[1]) as found:
        found.write(0, rows)
        yield found


def group(captions: np.ndarray, hashes: np.ndarray, block: int = 1000) -> np.ndarray:
    """Group samples, which are handed over in blocks of so many."""
    with tempfile.TemporaryDirectory() as folder:
        blocks = [[rows[at : at + block] for at in range(0, len(rows), block)] for rows in (captions, hashes)]
        return grouping.group(*blocks, Path(folder))
