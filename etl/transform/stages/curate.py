"""Curation of the whole corpus: templates and near-duplicates, which show only when pairs are compared."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etl.transform import columns
from etl.transform.cleaning.picture import HASH_BYTES
from etl.transform.curation.embeddings import SKETCH_BYTES, least_bits
from etl.transform.curation.settings import CurationSettings
from etl.transform.rejection_reasons import RejectionReason
from etl.transform.splitting.grouping import group_pictures, near_pairs
from etl.transform.splitting.spooled_rows import SpooledRows
from etl.transform.working_tables import batches, digests, view, write_table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# What an earlier version had stays before what is new, and test samples stay before others, as for copies of a file.
_RANKED = """
CREATE TABLE ranked AS
SELECT id, image_digest, image_hash, template_digest, sketch,
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
SELECT id, image_hash, sketch, row_number() OVER (PARTITION BY image_digest ORDER BY earlier DESC, id) > 1 AS again
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
    near, semantic = settings.near_duplicates, settings.semantic_duplicates
    copies: npt.NDArray[np.bool_] | None = None
    if near is not None:
        with _spool(connection, "image_hash", scratch, HASH_BYTES) as hashes:
            groups = group_pictures(hashes, scratch, near.max_distance)
        copies = groups != np.arange(len(groups))
        yield from _reasons(connection, copies, RejectionReason.NEAR_DUPLICATE)
    if semantic is not None:
        with _spool(connection, "sketch", scratch, SKETCH_BYTES) as sketches:
            alike = _find_alike(sketches, copies, least_bits(semantic.min_similarity))
        yield from _reasons(connection, alike, RejectionReason.SEMANTIC_DUPLICATE)


@contextmanager
def _spool(connection: "DuckDBPyConnection", name: str, scratch: Path, width: int) -> Iterator[SpooledRows]:
    """Give a column of the pairs that are left, (n, width) bytes, on disk."""
    import pyarrow as pa

    with SpooledRows(scratch / "pictures.rows", width) as rows:
        for batch in batches(connection, _KEPT):
            rows.append(digests(batch[name].cast(pa.binary(width))))
        yield rows


def _find_alike(
    sketches: SpooledRows, copies: npt.NDArray[np.bool_] | None, max_distance: int
) -> npt.NDArray[np.bool_]:
    """Return which of the n pictures show the same as an earlier one that is kept: (n,). *copies* are left out.

    Unlike copies, pictures that show the same form no groups: of a chain of pictures, each a little different from the
    one before, both ends are kept.
    """
    count = len(sketches)
    left_out = np.zeros(count, dtype=bool) if copies is None else copies.copy()
    found = np.zeros(0, dtype=np.int64)
    for one, other in near_pairs(sketches, np.arange(count, dtype=np.int32), max_distance):
        # The later one first, so that they are in its order.
        pairs = np.maximum(one, other).astype(np.int64) * count + np.minimum(one, other)
        found = np.union1d(found, pairs[~(left_out[one] | left_out[other])])
    for later, earlier in zip((found // count).tolist(), (found % count).tolist(), strict=True):
        left_out[later] |= not left_out[earlier]
    return left_out if copies is None else left_out & ~copies


def _reasons(
    connection: "DuckDBPyConnection", rejected: npt.NDArray[np.bool_], reason: RejectionReason
) -> Iterator["pa.RecordBatch"]:
    """Yield the ids of the *rejected* with their *reason*."""
    import pyarrow as pa

    at = 0
    for batch in batches(connection, _KEPT):
        found = batch.filter(pa.array(rejected[at : at + len(batch)]))
        at += len(batch)
        # The same file again keeps the reason that it has without curation.
        reasons = [str(RejectionReason.DUPLICATE if again else reason) for again in found["again"].to_pylist()]
        yield pa.record_batch([found["id"], pa.array(reasons, pa.string())], columns.curated())
