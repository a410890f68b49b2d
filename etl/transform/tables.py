"""The tables of a dataset version, as Parquet: its hashtags, and which sample went where."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etl.transform.check import Checked
from snap2caption.manifest import Manifest, Split

HASHTAGS, ASSIGNMENTS = "hashtags.parquet", "assignments.parquet"

COMPANIONS = 20
"""How many of the hashtags that a hashtag is used with most are kept."""


def write_hashtags(path: Path, samples: Sequence[Checked]) -> None:
    """Write the hashtag table, the most used first.

    Columns: ``tag``, ``count`` (posts), ``cities`` (city and count), ``with`` (hashtag and count of the posts that have both).
    """
    counts: Counter[str] = Counter()
    cities: defaultdict[str, Counter[str]] = defaultdict(Counter)
    companions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        counts.update(sample.hashtags)
        for tag in sample.hashtags:
            cities[tag][sample.pair.city] += 1
            companions[tag].update(other for other in sample.hashtags if other != tag)
    tags = _most_common(counts)
    _write(
        path,
        {
            "tag": [tag for tag, _ in tags],
            "count": [count for _, count in tags],
            "cities": [_structs("city", _most_common(cities[tag])) for tag, _ in tags],
            "with": [_structs("tag", _most_common(companions[tag])[:COMPANIONS]) for tag, _ in tags],
        },
        _hashtag_schema(),
    )


def _most_common(counter: Counter[str]) -> list[tuple[str, int]]:
    # Counter.most_common leaves ties in the order of arrival; here they are in the order of the alphabet.
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))


def _structs(name: str, items: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    return [{name: value, "count": count} for value, count in items]


def _hashtag_schema() -> Any:
    import pyarrow as pa

    def counted(name: str) -> Any:
        return pa.list_(pa.struct([(name, pa.string()), ("count", pa.int64())]))

    return pa.schema(
        [("tag", pa.string()), ("count", pa.int64()), ("cities", counted("city")), ("with", counted("tag"))]
    )


def write_assignments(path: Path, samples: Sequence[Checked], splits: Sequence[Split]) -> None:
    """Write which split each sample is in, by id, for later versions to keep to."""
    import pyarrow as pa

    columns: dict[str, list[Any]] = {"id": [sample.pair.id for sample in samples], "split": list(splits)}
    _write(path, columns, pa.schema([("id", pa.string()), ("split", pa.string())]))


def read_assignments(manifest_path: Path) -> dict[str, Split]:
    """Return the split of every sample of an earlier version, given its manifest (or folder)."""
    import pyarrow.parquet as pq

    manifest = Manifest.read(manifest_path)
    if manifest.assignments is None:
        return {}
    folder = manifest_path if manifest_path.is_dir() else manifest_path.parent
    table = pq.read_table(folder / manifest.assignments.name)
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))


def _write(path: Path, columns: dict[str, list[Any]], schema: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")
