"""Shard writer: tar files in the WebDataset layout; the same samples give the same bytes."""

import hashlib
import json
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from etl.place import Place
from etl.transform import columns
from etl.transform.archive.corpus import CorpusArchive, open_corpus
from etl.transform.archive.member_reader import ArchiveMember
from etl.transform.atomic_files import atomic_write
from etl.transform.cleaning.metadata import MetadataKind, drop_metadata
from etl.transform.curation.pictures import resize
from etl.transform.curation.settings import ResizeSettings
from etl.transform.working_tables import read_group
from snap2caption.datasets.manifest import Shard
from snap2caption.datasets.records import PhotoPlace

_ENCODER = json.JSONEncoder(ensure_ascii=False)

SAMPLES_PER_SHARD = 2000
"""About 50 MB of InstaCities photos: large enough for an object store, small enough to resume from."""


_BLOCK = 1 << 20
"""Bytes of a shard that are written at a time."""


class WrittenShard(NamedTuple):
    """A shard with the place of each of its photos."""

    shard: Shard
    photos: list[PhotoPlace]


def write_shard(
    corpus: Place, posts: Path, number: int, path: Path, keep_metadata: bool, resized: ResizeSettings | None = None
) -> WrittenShard:
    """Write row group *number* of the table *posts* as the shard *path*: ``<key>.jpg`` and ``<key>.json`` per
    sample.

    Photos are the corpus's own bytes, without their metadata unless *keep_metadata*. With *resized*, they are
    decoded, scaled and encoded again.
    """
    group = read_group(posts, number)
    places = [
        ArchiveMember(*place)
        for place in zip(*(group[name].to_pylist() for name in columns.places("image")), strict=True)
    ]
    as_is = [keep_metadata or had == MetadataKind.NONE for had in group["image_metadata"].to_pylist()]
    rows = group.select(["id", "city", "caption", "hashtags", "group"]).to_pylist()
    digest, size = hashlib.sha256(), 0
    photos: list[PhotoPlace] = []
    with (
        open_corpus(corpus) as archive,
        atomic_write(path, synced=False) as part,
        part.open("wb", buffering=0) as shard,
    ):
        archive.expect(place.block for place in places)
        for block in _blocks(_parts(archive, number * SAMPLES_PER_SHARD, rows, places, as_is, resized, photos)):
            digest.update(block)
            size += shard.write(block)
        end = bytes(2 * tarfile.BLOCKSIZE)
        end += bytes(-(size + len(end)) % tarfile.RECORDSIZE)
        digest.update(end)
        size += shard.write(end)
    cities = dict(sorted(Counter(row["city"] for row in rows).items()))
    written = Shard(name=path.name, sha256=digest.hexdigest(), samples=len(rows), bytes=size, cities=cities)
    return WrittenShard(written, photos)


def member_name(number: int, kind: str) -> str:
    """Return the name in its shard of sample *number* of a split; *kind* is jpg or json."""
    return f"{number:09d}.{kind}"


def _parts(
    archive: CorpusArchive,
    first: int,
    rows: Sequence[dict[str, Any]],
    places: Iterable[ArchiveMember],
    as_is: Iterable[bool],
    resized: ResizeSettings | None,
    photos: list[PhotoPlace],
) -> Iterator[bytes]:
    """Yield the parts of the tar in order.

    Args:
        archive: the corpus.
        first: number of the first sample.
        rows: the posts.
        places: location of each post's photo.
        as_is: whether each photo is kept unchanged.
        resized: how photos are scaled and encoded again, if they are.
        photos: gets the place of each photo.
    """
    at = 0
    for number, (row, place, whole) in enumerate(zip(rows, places, as_is, strict=True), first):
        photo, post = place.read(archive), _ENCODER.encode(row).encode()
        if resized is not None:
            photo = resize(photo, resized)
        elif not whole:
            photo = drop_metadata(photo).photo
        photos.append(PhotoPlace(at + tarfile.BLOCKSIZE, len(photo), zlib.crc32(photo)))
        for kind, data in (("jpg", photo), ("json", post)):
            padding = -len(data) % tarfile.BLOCKSIZE
            yield _header(member_name(number, kind), len(data))
            yield data
            yield bytes(padding)
            at += tarfile.BLOCKSIZE + len(data) + padding


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger blocks, each of which costs one system call."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _BLOCK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _header(name: str, size: int) -> bytes:
    """Return the header that `tarfile` writes for a file *name* of at most 100 ASCII characters and *size* bytes.

    `tarfile` needs a quarter of a shard's time to build it. All headers are equal except for these two fields
    and the checksum.
    """
    header = bytearray(_BLANK)
    header[: len(name)] = name.encode("ascii")
    header[124:135] = b"%011o" % size
    # The sum of all bytes, counting those of the checksum itself as spaces.
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


# A TarInfo's defaults: no owner, no time. So the bytes depend on the content alone.
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
