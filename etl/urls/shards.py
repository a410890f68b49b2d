"""Posts of the shards that img2dataset wrote, in the order of the table."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

from etl.readers.base import SkippedPost, SkipReason, SourcePost
from etl.readers.photos import check_photo
from etl.urls.table import GROUP
from snap2caption.errors import UserError

_DISALLOWED = "Use of image disallowed by X-Robots-Tag directive"
"""img2dataset's message for a photo whose site forbids its use."""


def read_shard(folder: Path, number: int) -> Iterator[SourcePost | SkippedPost]:
    """Yield the posts of one shard, failed downloads by their reasons. Photos are in memory one by one.

    Raises:
        UserError: the shard is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    stem = folder / f"{number:05d}"
    try:
        # Downloads end in any order.
        rows = sorted(pq.read_table(stem.with_suffix(".parquet")).to_pylist(), key=lambda row: str(row["key"]))
        with tarfile.open(stem.with_suffix(".tar"), mode="r:") as archive:
            photos = {member.name: member for member in archive if member.name.endswith(".jpg")}
            for row in rows:
                url = row["url"]
                if row["status"] != "success":
                    yield SkippedPost(url, _reason(row["error_message"]))
                    continue
                content = archive.extractfile(photos[f"{row['key']}.jpg"])
                photo = check_photo(url, content.read() if content else b"")
                yield (
                    photo
                    if isinstance(photo, SkippedPost)
                    else SourcePost(url, photo, row["caption"], row.get(GROUP) or None)
                )
    except (OSError, KeyError, tarfile.TarError, pa.ArrowInvalid) as error:
        raise UserError(f"{stem}.tar is damaged ({error}); remove {folder.parent}, then try again.") from error


def _reason(message: str) -> SkipReason:
    if message == _DISALLOWED:
        return SkipReason.OPTED_OUT
    return SkipReason(message) if message in set(SkipReason) else SkipReason.UNREACHABLE
