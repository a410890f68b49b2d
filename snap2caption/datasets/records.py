"""Record tables: the samples of a split as Parquet, one row per sample, without the photos.

They let a program filter, join and compare samples without reading the shards, and find each photo in its shard.
"""

from typing import TYPE_CHECKING, NamedTuple

from snap2caption.datasets.manifest import Split

if TYPE_CHECKING:
    import pyarrow as pa


class PhotoPlace(NamedTuple):
    """The place of a photo in its shard, with its CRC-32."""

    offset: int
    size: int
    crc: int


def records_name(split: Split) -> str:
    """Return the file name of the record table of *split*."""
    return f"{split}.parquet"


def record_schema() -> "pa.Schema":
    """Return the columns: the photo's member name, the sample's fields, and the photo's place in its shard."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    return pa.schema(
        [
            ("photo", text),
            ("id", text),
            ("city", text),
            ("caption", text),
            ("hashtags", pa.list_(text)),
            ("group", text),
            ("shard", text),
            *((name, number) for name in PhotoPlace._fields),
        ]
    )
