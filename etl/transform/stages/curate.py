"""Curation of the whole corpus: templates and near-duplicates, which show only when pairs are compared."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from etl.transform import columns
from etl.transform.cleaning.picture import HASH_BYTES
from etl.transform.curation.settings import CurationSettings
from etl.transform.rejection_reasons import RejectionReason
from etl.transform.splitting.grouping import group_pictures
from etl.transform.splitting.spooled_rows import SpooledRows
from etl.transform.working_tables import batches, digests, view, write_table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# What an earlier version had stays before what is new, and test samples stay before others, as for copies of a file.
_RANKED = """
CREATE TABLE ranked AS
SELECT id, image_digest, image_hash, template_digest,
    coalesce(list_position(['train', 'validation', 'test'], split) - 1, -1) AS earlier
FROM checked LEFT JOIN earlier USING (id)
WHERE reason IS NULL
"""

_TEMPLATES = """
CREATE TABLE rejected AS
SELECT id FROM ranked
QUALIFY row_number() OVER (PARTITION BY template_digest ORDER BY earlier DESC, id) > $max_posts
"""

_KEPT = """
SELECT id, image_hash, row_number() OVER (PARTITION BY image_digest ORDER BY earlier DESC, id) > 1 AS again
FROM ranked
WHERE id NOT IN (SELECT id FROM rejected)
ORDER BY earlier DESC, id
"""


_CURATED = """
CREATE VIEW checked AS
SELECT uncurated.* REPLACE (coalesce(uncurated.reason, curated.reason) AS reason)
FROM uncurated LEFT JOIN curated USING (id)
"""


def view_checked(connection: "DuckDBPyConnection", slices: Sequence[Path], curated: Path) -> None:
    """Make the results for each pair available as the view ``checked``, with the reasons in the table *curated* if
    there is one.
    """
    if curated.exists():
        view(connection, "uncurated", *slices)
        view(connection, "curated", curated)
        connection.execute(_CURATED)
    else:
        view(connection, "checked", *slices)


def write_curated(connection: "DuckDBPyConnection", settings: CurationSettings, path: Path) -> None:
    """Write the table of the pairs that *settings* reject to *path*: id and reason.

    *connection* has the views ``checked`` (the results for each pair) and ``earlier`` (the splits of an earlier
    version).
    """
    connection.execute(_RANKED)
    if settings.templates is None:
        connection.execute("CREATE TABLE rejected (id VARCHAR)")
    else:
        connection.execute(_TEMPLATES, {"max_posts": settings.templates.max_posts})
    write_table(path, columns.curated(), _rejected(connection, path.parent, settings))


def _rejected(
    connection: "DuckDBPyConnection", scratch: "Path", settings: CurationSettings
) -> Iterator["pa.RecordBatch"]:
    query = f"SELECT id, '{RejectionReason.TEMPLATE}' AS reason FROM rejected ORDER BY id"  # noqa: S608 - our own word
    yield from batches(connection, query)
    if settings.near_duplicates is not None:
        yield from _near_duplicates(connection, scratch, settings.near_duplicates.max_distance)


def _near_duplicates(
    connection: "DuckDBPyConnection", scratch: "Path", max_distance: int
) -> Iterator["pa.RecordBatch"]:
    """Yield all but the first of each group of similar pictures."""
    import pyarrow as pa

    with SpooledRows(scratch / "pictures.rows", HASH_BYTES) as hashes:
        for batch in batches(connection, _KEPT):
            hashes.append(digests(batch["image_hash"].cast(pa.binary(HASH_BYTES))))
        groups = group_pictures(hashes, scratch, max_distance)
    copies = groups != np.arange(len(groups))
    at = 0
    for batch in batches(connection, _KEPT):
        copied = batch.filter(pa.array(copies[at : at + len(batch)]))
        at += len(batch)
        # The same file again keeps the reason that it has without curation.
        reasons = [
            str(RejectionReason.DUPLICATE if again else RejectionReason.NEAR_DUPLICATE)
            for again in copied["again"].to_pylist()
        ]
        yield pa.record_batch([copied["id"], pa.array(reasons, pa.string())], columns.curated())
