"""Rows of a table: CSV, tab-separated values, Parquet, JSON Lines, or a JSON list of objects."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import BinaryIO

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".json")
"""Endings of tables."""

FAULTS = (ValueError, csv.Error, RecursionError)
"""What `rows` raises if the table is damaged."""

_MAX_JSON = 256 * 1024 * 1024


def rows(name: str, stream: BinaryIO) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a table, whose ending says its format; only a ``.json`` is read into memory whole.

    Raises:
        ValueError: it is damaged, or a row is no object.
        csv.Error: a line is no CSV.
        RecursionError: JSON is nested too deeply.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        for batch in pq.ParquetFile(stream).iter_batches(batch_size=1000):
            yield from batch.to_pylist()
        return
    with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as lines:
        if suffix in {".csv", ".tsv"}:
            yield from csv.DictReader(lines, delimiter="," if suffix == ".csv" else "\t")
        elif suffix == ".json":
            text = lines.read(_MAX_JSON + 1)
            if len(text) > _MAX_JSON:
                raise ValueError(f"it has more than {_MAX_JSON:,} characters; save it as .jsonl")
            found = json.loads(text)
            if not isinstance(found, list):
                raise ValueError("it is not a list of objects")
            for number, row in enumerate(found, start=1):
                yield _object(row, f"item {number}")
        else:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _object(json.loads(line), f"line {number}")


def _object(row: object, where: str) -> Mapping[str, object]:
    if not isinstance(row, dict):
        raise ValueError(f"{where} is not an object")  # noqa: TRY004
    return row
