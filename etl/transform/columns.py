"""The columns of the working tables, which one stage writes and the next one reads."""

from dataclasses import fields
from typing import TYPE_CHECKING

from etl.transform.archive.member_reader import ArchiveMember
from etl.transform.archive.members import ListedMember
from etl.transform.cleaning.picture import HASH_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

_PLACE = tuple(field.name for field in fields(ArchiveMember))


def places(kind: str) -> list[str]:
    """Return the columns that tell where the *kind* (image, caption) of a pair lies in the archive, in the order of `ArchiveMember`'s fields."""
    return [f"{kind}_{name}" for name in _PLACE]


def members() -> "pa.Schema":
    """Of every member of the archive: the fields of `ListedMember`."""
    import pyarrow as pa

    types = [pa.int64(), *[pa.string()] * 4, *[pa.int64()] * 6]
    return pa.schema(list(zip(ListedMember._fields, types, strict=True)))


def pairs() -> "pa.Schema":
    """Of the plan: a pair, and where its photo and its caption lie."""
    import pyarrow as pa

    numbers = [(name, pa.int64()) for name in places("image") + places("caption")]
    return pa.schema([("id", pa.string()), ("city", pa.string()), *numbers])


def checked() -> "pa.Schema":
    """Of a slice: a pair, where its photo lies, and what `Checked` says of it or, if it can't be used, the reason alone."""
    import pyarrow as pa

    digest = pa.binary(32)
    return pa.schema(
        [
            ("id", pa.string()),
            ("city", pa.string()),
            *((name, pa.int64()) for name in places("image")),
            ("caption", pa.string()),
            ("hashtags", pa.list_(pa.string())),
            ("image_metadata", pa.int8()),
            ("image_digest", digest),
            ("image_hash", pa.binary(HASH_BYTES)),
            ("caption_digest", digest),
            ("reason", pa.string()),
        ]
    )


def samples() -> "pa.Schema":
    """Of what is kept: the number of each one's city, what it is compared by, the number of the split that an earlier version gave it (-1: none)."""
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("city", pa.int64()),
            ("image_hash", pa.binary(HASH_BYTES)),
            ("caption_digest", pa.binary(32)),
            ("earlier", pa.int8()),
        ]
    )


def assigned() -> "pa.Schema":
    """Of the splits: which sample is in which."""
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("split", pa.string())])


def grouped() -> "pa.Schema":
    """Of what is kept: the split of each sample, and the group that it shares with those like it."""
    import pyarrow as pa

    return assigned().append(pa.field("group", pa.int64()))


def posts() -> "pa.Schema":
    """Of one split: what its shards are written from. A group goes by the id of its first member."""
    import pyarrow as pa

    names = {"id", "city", *places("image"), "caption", "hashtags", "image_metadata"}
    kept = [field for field in checked() if field.name in names]
    return pa.schema([*kept, ("group", pa.string())])
