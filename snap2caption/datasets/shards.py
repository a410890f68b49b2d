"""Shards: tar files of samples in the WebDataset convention (``<key>.jpg`` next to ``<key>.json``)."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snap2caption.errors import UserError
from snap2caption.formats.documents import first_fault
from snap2caption.post import Post


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A range of bytes in a file."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the bytes."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo with its post.

    The photo may stay in its shard until it is needed, so that a million samples fit into memory.
    """

    id: str
    city: str
    post: Post
    content: FileSlice | bytes
    group: str | None = None
    """The name of the group of samples that depend on this one (a copy of its photo, or its words). None: no group is
    known.
    """
    shard: str | None = None
    """The name of the shard that it was read from, for errors."""

    @property
    def cluster(self) -> str:
        """The name that this sample shares with the samples it is not independent of, and with no others."""
        return self.group or self.id

    def photo(self) -> bytes:
        """Return the encoded photo."""
        return self.content if isinstance(self.content, bytes) else self.content.read()

    def loaded(self) -> "Sample":
        """Return the sample with its photo in memory, independent of its shard."""
        return replace(self, content=self.photo())


def read_shard(shard: Path, name: str | None = None) -> Iterator[Sample]:
    """Yield the samples of the shard at *shard*, in its order. Their photos stay in the file.

    *name* is the shard's name in errors; by default, that of the file.

    Raises:
        UserError: the file is not a tar, a member lacks its partner, or a member is malformed.
    """
    with shard.open("rb") as stream:
        yield from _read(stream, name or shard.name, shard)


def read_stream(stream: BinaryIO, name: str) -> Iterator[Sample]:
    """Yield the samples of a shard that is read once, sequentially, with their photos.

    *name* is the shard's name in errors.

    Raises:
        UserError: as for `read_shard`.
    """
    yield from _read(stream, name, None)


def _read(stream: BinaryIO, name: str, stays_in: Path | None) -> Iterator[Sample]:
    photos: dict[str, FileSlice | bytes] = {}
    posts: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r:" if stays_in else "r|") as archive:
            for member in archive:
                key, _, kind = member.name.rpartition(".")
                if kind not in {"jpg", "json"} or not member.isreg():
                    continue
                if kind == "jpg" and stays_in:
                    photos[key] = FileSlice(stays_in, member.offset_data, member.size)
                elif (content := archive.extractfile(member)) is not None:
                    (photos if kind == "jpg" else posts)[key] = content.read()
                if key in photos and key in posts:
                    yield _sample(photos.pop(key), posts.pop(key), name, key)
    except (tarfile.TarError, ValueError) as error:
        raise UserError(f"The shard {name} is not readable ({error}); make the dataset again.") from error
    if photos or posts:
        raise UserError(f"The shard {name} holds half of a sample ({min([*photos, *posts])}); make the dataset again.")


class _SampleRecord(BaseModel):
    """A sample's JSON. Unknown fields are ignored."""

    model_config = ConfigDict(strict=True)

    id: Annotated[str, Field(min_length=1)]
    city: Annotated[str, Field(min_length=1)]
    caption: str
    # JSON has no tuples, only lists.
    hashtags: Annotated[tuple[str, ...], Field(strict=False)]
    group: str | None = None


def _sample(content: FileSlice | bytes, row: bytes, shard: str, key: str) -> Sample:
    try:
        read = _SampleRecord.model_validate_json(row)
    except ValidationError as error:
        raise UserError(
            f"Sample {key} in shard {shard} is invalid ({first_fault(error)}); make the dataset again."
        ) from error
    post = Post(caption=read.caption, hashtags=read.hashtags)
    return Sample(id=read.id, city=read.city, post=post, content=content, group=read.group, shard=shard)
