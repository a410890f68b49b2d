"""Plan stage: from the archive's directory to a table of the pairs to check, one row group per slice."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.members import ListedMember, list_members
from etl.transform.working_tables import BATCH, batches, open_database, view, write_table

if TYPE_CHECKING:
    import pyarrow as pa

_CITIES = "SELECT city, bool_or(kind = 'image') FROM members WHERE kind IS NOT NULL AND city <> '' GROUP BY city"

# A member shares bytes with another if an earlier one ends after its start, or the next one starts before its end.
_JUDGED = """
CREATE TABLE judged AS
SELECT * EXCLUDE (reason, before, after),
    CASE WHEN reason IS NULL AND (before > start OR after < stop) THEN 'overlapping' ELSE reason END AS reason
FROM (
    SELECT *,
        max(stop) OVER (ORDER BY start, number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
        lead(start) OVER (ORDER BY start, number) AS after
    FROM members
)
"""

# If a post has two photos or captions, the first in the archive counts.
_POSTS = """
CREATE TABLE posts AS
SELECT city, id, image, caption, again,
    CASE
        WHEN NOT list_contains($cities, city) THEN 'city_not_selected'
        WHEN refused IS NOT NULL THEN refused
        WHEN caption IS NULL THEN 'missing_caption'
        WHEN image IS NULL THEN 'missing_image'
    END AS reason
FROM (
    SELECT city, id,
        min(number) FILTER (reason IS NULL AND kind = 'image') AS image,
        min(number) FILTER (reason IS NULL AND kind = 'caption') AS caption,
        count(*) FILTER (reason IS NULL) > 2 AS again,
        min(reason) AS refused
    FROM judged
    WHERE kind IS NOT NULL
    GROUP BY city, id
)
"""

# An id identifies one post: if two cities have it, the first in alphabetical order counts.
_WHOLE = """
CREATE TABLE whole AS
SELECT *, row_number() OVER (PARTITION BY id ORDER BY city) > 1 AS repeated
FROM posts
WHERE reason IS NULL
"""

_DROPPED = """
SELECT reason, sum(dropped)::BIGINT
FROM (
    SELECT reason, count(*) AS dropped FROM posts GROUP BY reason
    UNION ALL
    SELECT 'duplicate', count(*) FROM whole WHERE repeated OR again
    UNION ALL
    SELECT reason, count(*) FROM judged WHERE kind IS NULL AND reason = 'unsafe_path' GROUP BY reason
)
WHERE reason IS NOT NULL
GROUP BY reason
HAVING sum(dropped) > 0
ORDER BY reason
"""

# In archive order: a slice then reads one contiguous range of the file.
_PAIRS = """
SELECT whole.id, whole.city,
    image.start AS image_offset, image.compressed AS image_compressed, image.size AS image_size,
    image.method AS image_method, image.crc AS image_crc,
    caption.start AS caption_offset, caption.compressed AS caption_compressed, caption.size AS caption_size,
    caption.method AS caption_method, caption.crc AS caption_crc
FROM whole JOIN judged AS image ON image.number = whole.image JOIN judged AS caption ON caption.number = whole.caption
WHERE NOT repeated
ORDER BY image_offset
"""


def write_members(corpus: Place, path: Path) -> None:
    """Write the table of all members of the archive to *path*.

    Raises:
        UserError: the corpus does not exist, is not a zip, or is cut off or damaged.
    """
    write_table(path, columns.members(), _in_batches(list_members(corpus)))


def find_cities(members: Path) -> dict[str, bool]:
    """Return each city of the table of all members, and whether it has photos."""
    with open_database(members.parent) as connection:
        view(connection, "members", members)
        return dict(connection.execute(_CITIES).fetchall())


def write_pairs(members: Path, path: Path, cities: Sequence[str], slice_pairs: int) -> tuple[int, dict[str, int]]:
    """Pair each photo of *cities* with its caption, and write the pairs to *path* with *slice_pairs* per row group.

    Args:
        members: the table of all members.
        path: the table of pairs to write.
        cities: which cities to keep.
        slice_pairs: rows per row group.

    Returns:
        The number of pairs, and the number of dropped samples (for an unsafe path: members) by reason.
    """
    import pyarrow.parquet as pq

    with open_database(path.parent, pq.read_metadata(members).num_rows) as connection:
        view(connection, "members", members)
        connection.execute(_JUDGED)
        connection.execute(_POSTS, {"cities": list(cities)})
        connection.execute(_WHOLE)
        dropped = dict(connection.execute(_DROPPED).fetchall())
        pairs = write_table(path, columns.pairs(), batches(connection, _PAIRS), slice_pairs)
    return pairs, dropped


def _in_batches(members: Iterator[ListedMember]) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa

    schema = columns.members()
    while rows := list(itertools.islice(members, BATCH)):
        values = zip(zip(*rows, strict=True), schema, strict=True)
        yield pa.record_batch([pa.array(column, field.type) for column, field in values], schema)
