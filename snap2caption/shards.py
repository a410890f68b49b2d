"""Shards: tar files of samples in the WebDataset convention (``<key>.jpg`` beside ``<key>.json``)."""

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snap2caption.errors import UserError
from snap2caption.post import Post


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo with its post. The photo stays in its shard until it is asked for, so that a million samples fit into memory."""

    id: str
    city: str
    post: Post
    shard: Path
    offset: int
    size: int

    def photo(self) -> bytes:
        """Return the encoded photo."""
        with self.shard.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


def read_shard(shard: Path) -> Iterator[Sample]:
    """Yield the samples of the shard at *shard*, in its order.

    Raises:
        UserError: the file is not a tar, or a member lacks its partner or is not what it should be.
    """
    photos: dict[str, tarfile.TarInfo] = {}
    posts: dict[str, bytes] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                key, _, kind = member.name.rpartition(".")
                if kind == "jpg":
                    photos[key] = member
                elif kind == "json" and (content := archive.extractfile(member)) is not None:
                    posts[key] = content.read()
                if key in photos and key in posts:
                    yield _sample(shard, photos.pop(key), json.loads(posts.pop(key)))
    except (tarfile.TarError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"The shard {shard.name} is not readable ({error}); make the dataset again.") from error
    if photos or posts:
        raise UserError(
            f"The shard {shard.name} holds half of a sample ({min([*photos, *posts])}); make the dataset again."
        )


def _sample(shard: Path, photo: tarfile.TarInfo, post: dict[str, object]) -> Sample:
    tags = post["hashtags"]
    if not isinstance(tags, list):
        raise TypeError("hashtags is not a list")
    return Sample(
        id=str(post["id"]),
        city=str(post["city"]),
        post=Post(caption=str(post["caption"]), hashtags=tuple(map(str, tags))),
        shard=shard,
        offset=photo.offset_data,
        size=photo.size,
    )
