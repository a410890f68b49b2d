"""The tables of a dataset version, as Parquet: its hashtags, and which sample went where."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etl.transform.check import Checked
from snap2caption.errors import UserError
from snap2caption.manifest import Manifest, Split

HASHTAGS, ASSIGNMENTS = "hashtags.parquet", "assignments.parquet"

COMPANIONS = 20
"""How many of the hashtags that a hashtag is used with most are kept."""


_BATCH = 10_000
"""Rows that are made and written at a time: rows of half a million hashtags, with all their companions, would fill gigabytes."""


def write_hashtags(path: Path, samples: Sequence[Checked]) -> None:
    """Write the hashtag table, the most used first.

    Columns: ``tag``, ``count`` (posts), ``cities`` (city and count), ``with`` (hashtag and count of the posts that have both).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    posts: defaultdict[str, list[Checked]] = defaultdict(list)
    for sample in samples:
        for tag in sample.hashtags:
            posts[tag].append(sample)
    tags = sorted(posts, key=lambda tag: (-len(posts[tag]), tag))
    schema = _hashtag_schema()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(tags), _BATCH):
            rows = [_row(tag, posts[tag]) for tag in tags[start : start + _BATCH]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _row(tag: str, posts: Sequence[Checked]) -> dict[str, Any]:
    cities = Counter(post.pair.city for post in posts)
    companions = Counter(itertools.chain.from_iterable(post.hashtags for post in posts))
    del companions[tag]
    return {
        "tag": tag,
        "count": len(posts),
        "cities": _counted("city", cities, len(cities)),
        "with": _counted("tag", companions, COMPANIONS),
    }


def _counted(name: str, counter: Counter[str], most: int) -> list[dict[str, Any]]:
    # Counter.most_common leaves ties in the order of arrival; here they are in the order of the alphabet.
    items = sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [{name: value, "count": count} for value, count in items]


def _hashtag_schema() -> Any:
    import pyarrow as pa

    def counted(name: str) -> Any:
        return pa.list_(pa.struct([(name, pa.string()), ("count", pa.int64())]))

    return pa.schema(
        [("tag", pa.string()), ("count", pa.int64()), ("cities", counted("city")), ("with", counted("tag"))]
    )


def write_assignments(path: Path, splits: Mapping[str, Split]) -> None:
    """Write which split each sample is in, by id, for later versions to keep to."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = sorted(splits)
    schema = pa.schema([("id", pa.string()), ("split", pa.string())])
    table = pa.table({"id": ids, "split": [splits[id_] for id_ in ids]}, schema=schema)
    pq.write_table(table, path, compression="zstd")


def read_assignments(previous: Path) -> dict[str, Split]:
    """Return the split of every sample of an earlier version, and of those before it, given its manifest (or folder).

    Raises:
        UserError: the version is not there, not whole, or keeps no assignments.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    manifest = Manifest.read(previous)
    if manifest.assignments is None:
        raise UserError(f"The version at {previous} keeps no assignments; give one that `transform` made.")
    path = (previous if previous.is_dir() else previous.parent) / manifest.assignments.name
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"The assignments of the earlier version can't be read from {path}; copy its whole folder there."
        ) from error
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))
