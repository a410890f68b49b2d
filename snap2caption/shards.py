"""Shards: tar files of samples in the WebDataset convention (``<key>.jpg`` beside ``<key>.json``)."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from snap2caption.errors import UserError
from snap2caption.post import Post


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that lie in a file."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Return them."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo with its post. The photo may stay in its shard until it is asked for, so that a million samples fit into memory."""

    id: str
    city: str
    post: Post
    content: Stored | bytes
    group: str | None = None
    """Names the samples that are not independent of this one (a copy of its photo, its words); None: there are none that is known of."""

    def photo(self) -> bytes:
        """Return the encoded photo."""
        return self.content if isinstance(self.content, bytes) else self.content.read()

    def loaded(self) -> "Sample":
        """Return the sample with its photo in memory, independent of its shard."""
        return replace(self, content=self.photo())


def read_shard(shard: Path) -> Iterator[Sample]:
    """Yield the samples of the shard at *shard*, in its order; their photos stay there.

    Raises:
        UserError: the file is not a tar, or a member lacks its partner or is not what it should be.
    """
    with shard.open("rb") as stream:
        yield from _read(stream, shard.name, shard)


def read_stream(stream: BinaryIO, name: str) -> Iterator[Sample]:
    """Yield the samples of a shard that is read once and forwards, with their photos; *name* is the shard's, for errors.

    Raises:
        UserError: as `read_shard`.
    """
    yield from _read(stream, name, None)


def _read(stream: BinaryIO, name: str, stays_in: Path | None) -> Iterator[Sample]:
    photos: dict[str, Stored | bytes] = {}
    posts: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r:" if stays_in else "r|") as archive:
            for member in archive:
                key, _, kind = member.name.rpartition(".")
                if kind not in {"jpg", "json"} or not member.isreg():
                    continue
                if kind == "jpg" and stays_in:
                    photos[key] = Stored(stays_in, member.offset_data, member.size)
                elif (content := archive.extractfile(member)) is not None:
                    (photos if kind == "jpg" else posts)[key] = content.read()
                if key in photos and key in posts:
                    yield _sample(photos.pop(key), json.loads(posts.pop(key)))
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The shard {name} is not readable ({error}); make the dataset again.") from error
    if photos or posts:
        raise UserError(f"The shard {name} holds half of a sample ({min([*photos, *posts])}); make the dataset again.")


def _sample(content: Stored | bytes, row: dict[str, object]) -> Sample:
    tags = row["hashtags"]
    if not isinstance(tags, list):
        raise TypeError("hashtags is not a list")
    group = row.get("group")
    return Sample(
        id=str(row["id"]),
        city=str(row["city"]),
        post=Post(caption=str(row["caption"]), hashtags=tuple(map(str, tags))),
        content=content,
        group=None if group is None else str(group),
    )
