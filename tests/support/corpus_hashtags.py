"""Hashtag table of a corpus with one hashtag: small, but no missing one."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from snap2caption.hashtags.table import TABLE


def write_hashtags(dataset: Path) -> None:
    """Write the table into the folder of a dataset version."""
    row = {
        "tag": "photo",
        "count": 3,
        "cities": [{"city": "chicago", "count": 3}],
        "with": [{"tag": "sky", "count": 1}],
    }
    dataset.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row]), dataset / TABLE)
