"""Column schemas of the working tables that one stage writes and the next one reads."""

from dataclasses import fields
from typing import TYPE_CHECKING

from etl.transform.archive.member_reader import ArchiveMember
from etl.transform.archive.members import ListedMember
from etl.transform.cleaning.picture import HASH_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

_PLACE = tuple(field.name for field in fields(ArchiveMember))


def places(kind: str) -> list[str]:
    """Return the columns with the location of a pair's *kind* (image or caption) in the archive.

    They are in the order of `ArchiveMember`'s fields.
    """
    return [f"{kind}_{name}" for name in _PLACE]


def members() -> "pa.Schema":
    """Schema for all members of the archive: the fields of `ListedMember`."""
    import pyarrow as pa

    types = [pa.int64(), *[pa.string()] * 4, *[pa.int64()] * 6]
    return pa.schema(list(zip(ListedMember._fields, types, strict=True)))


def pairs() -> "pa.Schema":
    """Schema of the plan: one row per pair, with the locations of its photo and its caption."""
    import pyarrow as pa

    numbers = [(name, pa.int64()) for name in places("image") + places("caption")]
    return pa.schema([("id", pa.string()), ("city", pa.string()), *numbers])


def checked() -> "pa.Schema":
    """Schema of a checked slice: one row per pair.

    A row has the location of the pair's photo, and either the fields of `CheckedSample` or the reason why the
    pair can't be used, with the caption and what curation measured so far.
    """
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
            ("template_digest", digest),
            ("sketch", pa.binary(32)),
            ("measures", pa.map_(pa.string(), pa.float64())),
            ("reason", pa.string()),
        ]
    )


def samples() -> "pa.Schema":
    """Schema of the kept samples: city number, hashes to compare by, and earlier split.

    ``earlier`` is the number of the split in an earlier version, or -1 for none.
    """
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


def curated() -> "pa.Schema":
    """Schema of the pairs that curation rejects by comparing them with others: id and reason."""
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("reason", pa.string())])


def assigned() -> "pa.Schema":
    """Schema of the assignments: the split of each sample."""
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("split", pa.string())])


def grouped() -> "pa.Schema":
    """Schema of the kept samples with their split, and the group that they share with similar samples."""
    import pyarrow as pa

    return assigned().append(pa.field("group", pa.int64()))


def posts() -> "pa.Schema":
    """Schema of the posts of one split, from which its shards are written. A group is named after its first
    member's id.
    """
    import pyarrow as pa

    names = {"id", "city", *places("image"), "caption", "hashtags", "image_metadata"}
    kept = [field for field in checked() if field.name in names]
    return pa.schema([*kept, ("group", pa.string())])
