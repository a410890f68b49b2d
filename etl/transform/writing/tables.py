"""Tables of a dataset version, as Parquet: its hashtags, and the split of each sample."""

import hashlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from etl.transform import columns
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

_HASHTAGS = """
WITH here AS (SELECT tag, count, number FROM tags JOIN parts USING (number) WHERE part = $part),
placed AS (
    SELECT number, list({'city': city, 'count': cities.count} ORDER BY cities.count DESC, city) AS cities
    FROM cities JOIN here USING (number)
    GROUP BY number
),
together AS (
    SELECT here.number, other.number AS other, count(*) AS count
    FROM here JOIN uses USING (number) JOIN uses AS other ON other.post = uses.post AND other.number <> here.number
    GROUP BY ALL
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


def write_hashtags(connection: "DuckDBPyConnection", path: Path) -> None:
    """Write the table of the hashtags in the table ``train``, the most used first.

    Columns: ``tag``, ``count`` (posts), ``cities`` (city and count), ``with`` (companion hashtag, and count of
    posts that have both; ties in table order).
    """
    connection.execute(_TAGS)
    connection.execute(_CITIES)
    connection.execute(_USES, {"most": _MOST})
    connection.execute(_PARTS, {"pairs": _PAIRS})
    parts = [part for (part,) in connection.execute("SELECT DISTINCT part FROM parts ORDER BY part").fetchall()]
    found = (batches(connection, _HASHTAGS, {"part": part, "companions": COMPANIONS}) for part in parts)
    write_table(path, _hashtag_schema(), itertools.chain.from_iterable(found))


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
