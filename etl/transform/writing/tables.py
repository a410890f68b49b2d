"""Tables of a dataset version, as Parquet: its hashtags, and the split of each sample."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etl.transform import columns
from etl.transform.bucket_sort import partitioned, rows_of
from etl.transform.working_tables import batches, write_table
from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

HASHTAGS, ASSIGNMENTS = "hashtags.parquet", "assignments.parquet"

COMPANIONS = 20
"""Number of co-occurring hashtags that are kept per hashtag."""

_MOST = 30
"""Hashtags of a post that count as companions; Instagram accepts no more.

The pairs of thousands in one hostile caption would fill the disk.
"""

_PAIRS = 1_000_000
"""Pairs of a hashtag and a companion that are counted at a time. A million posts have some 60 million, most of
them once.
"""

_MAX_PARTS = 200
"""The most parts, each of which has a file that is open while pairs are found."""

_JOINED = 500_000
"""Posts whose hashtags are joined with one another at a time. For all of ten million, that needs half a gigabyte."""

_PAIRS_BATCH = 500_000
"""Pairs that are partitioned at a time; a part gets those of one batch as one block."""

# Tags are numbered in table order: pairs of numbers are smaller and compared faster than pairs of words.
_TAGS = """
CREATE TABLE tags AS
SELECT tag, count(*) AS count, (row_number() OVER (ORDER BY count(*) DESC, tag))::INTEGER AS number
FROM (SELECT unnest(hashtags) AS tag FROM train)
GROUP BY tag
"""

_CITIES = """
CREATE TABLE cities AS
SELECT number, city, count(*) AS count
FROM (SELECT unnest(hashtags) AS tag, city FROM train) JOIN tags USING (tag)
GROUP BY number, city
"""

_USES = """
CREATE TABLE uses AS
SELECT post, number, others
FROM (
    SELECT row_number() OVER () AS post, unnest(hashtags) AS tag, len(hashtags) - 1 AS others
    FROM (SELECT list_slice(hashtags, 1, $most) AS hashtags FROM train)
) JOIN tags USING (tag)
"""

_PARTS = """
CREATE TABLE parts AS
SELECT number, (sum(coalesce(sum(others), 0)) OVER (ORDER BY number) // $pairs)::INTEGER AS part
FROM tags LEFT JOIN uses USING (number)
GROUP BY number
"""

_TOGETHER = """
SELECT uses.number, other.number AS other, part AS bucket
FROM uses JOIN uses AS other ON other.post = uses.post AND other.number <> uses.number
JOIN parts ON parts.number = uses.number
WHERE uses.post BETWEEN $first AND $last AND other.post BETWEEN $first AND $last
"""

_HASHTAGS = """
WITH here AS (SELECT tag, count, number FROM tags JOIN parts USING (number) WHERE part = $part),
placed AS (
    SELECT number, list({'city': city, 'count': cities.count} ORDER BY cities.count DESC, city) AS cities
    FROM cities JOIN here USING (number)
    GROUP BY number
),
together AS (
    SELECT number, other, count(*) AS count FROM pairs GROUP BY ALL
),
nearest AS (
    SELECT *, row_number() OVER (PARTITION BY number ORDER BY count DESC, other) AS place
    FROM together
    QUALIFY place <= $companions
),
companions AS (
    SELECT nearest.number, list({'tag': tag, 'count': nearest.count} ORDER BY place) AS companions
    FROM nearest JOIN tags ON tags.number = other
    GROUP BY nearest.number
)
SELECT tag, count, cities, coalesce(companions, []) AS "with"
FROM here JOIN placed USING (number) LEFT JOIN companions USING (number)
ORDER BY number
"""

_ASSIGNMENTS = """
SELECT id, coalesce(assigned.split, earlier.split) AS split
FROM assigned FULL JOIN earlier USING (id)
ORDER BY id
"""


def write_hashtags(connection: "DuckDBPyConnection", path: Path, folder: Path) -> None:
    """Write the table of the hashtags in the table ``train``, the most used first.

    Columns: ``tag``, ``count`` (posts), ``cities`` (city and count), ``with`` (companion hashtag, and count of
    posts that have both; ties in table order).

    Args:
        connection: the database.
        path: the table's file.
        folder: where pairs of hashtags are kept meanwhile, eight bytes each, next to nothing else. It is removed
            afterwards.
    """
    connection.execute(_TAGS)
    connection.execute(_CITIES)
    connection.execute(_USES, {"most": _MOST})
    ((total,),) = connection.execute("SELECT coalesce(sum(others), 0)::BIGINT FROM uses").fetchall()
    connection.execute(_PARTS, {"pairs": max(_PAIRS, total // _MAX_PARTS + 1)})
    ((last,),) = connection.execute("SELECT coalesce(max(part), -1) FROM parts").fetchall()
    # The pairs are found once and kept on disk by parts: to find them for each part would read all posts each time.
    with partitioned(_find_pairs(connection), last + 1, folder) as buckets:
        write_table(path, _hashtag_schema(), _count_parts(connection, buckets))


def _find_pairs(connection: "DuckDBPyConnection") -> Iterator["pa.RecordBatch"]:
    """Yield the pairs of hashtags that posts have, with their part, from some posts at a time."""
    ((posts,),) = connection.execute("SELECT coalesce(max(post), 0) FROM uses").fetchall()
    for first in range(1, posts + 1, _JOINED):
        yield from batches(connection, _TOGETHER, {"first": first, "last": first + _JOINED - 1}, _PAIRS_BATCH)


def _count_parts(connection: "DuckDBPyConnection", buckets: Sequence[Path]) -> Iterator["pa.RecordBatch"]:
    """Yield the table, part by part, whose pairs are in *buckets*."""
    import pyarrow as pa

    none = pa.table({"number": pa.array([], pa.int32()), "other": pa.array([], pa.int32())})
    for part, bucket in enumerate(buckets):
        with rows_of(bucket) as pairs:
            connection.register("pairs", pairs or none)
            yield from batches(connection, _HASHTAGS, {"part": part, "companions": COMPANIONS})
            connection.unregister("pairs")


def _hashtag_schema() -> "pa.Schema":
    import pyarrow as pa

    def counted(name: str) -> pa.DataType:
        return pa.list_(pa.struct([(name, pa.string()), ("count", pa.int64())]))

    return pa.schema(
        [("tag", pa.string()), ("count", pa.int64()), ("cities", counted("city")), ("with", counted("tag"))]
    )


def write_assignments(connection: "DuckDBPyConnection", path: Path) -> None:
    """Write the split of each sample in the tables ``assigned`` and ``earlier``, by id, for later versions to keep."""
    write_table(path, columns.assigned(), batches(connection, _ASSIGNMENTS))


def find_assignments(previous: Path) -> Path:
    """Return the table of the splits of every sample of an earlier version, and of those before it.

    Args:
        previous: the version's manifest or folder.

    Raises:
        UserError: the version does not exist, is damaged, or has no assignments.
    """
    manifest = Manifest.read(previous)
    if manifest.assignments is None:
        raise UserError(f"The version at {previous} keeps no assignments; give one that `transform` made.")
    path = manifest.find(manifest.assignments, previous if previous.is_dir() else previous.parent)
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"The assignments of the earlier version can't be read from {path} ({error.strerror}); "
            "copy its whole folder there."
        ) from error
    if digest != manifest.assignments.sha256:
        raise UserError(f"{path} is not what the earlier version's manifest says; copy its whole folder there again.")
    return path
