"""Writing shards: tar files in the WebDataset convention, the same bytes for the same samples."""

import hashlib
import json
import tarfile
from collections import Counter
from pathlib import Path

from etl.transform import columns
from etl.transform.files import written
from etl.transform.member import Member
from snap2caption.manifest import Shard

_ENCODER = json.JSONEncoder(ensure_ascii=False)

SAMPLES_PER_SHARD = 2000
"""About 50 MB of InstaCities photos: large enough for an object store, small enough to resume by."""


def write_shard(corpus: Path, posts: Path, number: int, path: Path) -> Shard:
    """Write the shard *path* of row group *number* of the table *posts*: for each ``<key>.jpg``, the corpus's own bytes, and ``<key>.json``."""
    import pyarrow.parquet as pq

    group = pq.ParquetFile(posts).read_row_group(number)
    places = zip(*(group[name].to_pylist() for name in columns.places("image")), strict=True)
    rows = group.select(["id", "city", "caption", "hashtags"]).to_pylist()
    digest, size = hashlib.sha256(), 0
    with corpus.open("rb") as archive, written(path, synced=False) as part, part.open("wb") as shard:
        for index, (row, place) in enumerate(zip(rows, places, strict=True)):
            key = f"{number * SAMPLES_PER_SHARD + index:09d}"
            photo = _member(f"{key}.jpg", Member(*place).read(archive))
            block = photo + _member(f"{key}.json", _ENCODER.encode(row).encode())
            digest.update(block)
            size += shard.write(block)
        end = bytes(2 * tarfile.BLOCKSIZE)
        end += bytes(-(size + len(end)) % tarfile.RECORDSIZE)
        digest.update(end)
        size += shard.write(end)
    cities = dict(sorted(Counter(row["city"] for row in rows).items()))
    return Shard(name=path.name, sha256=digest.hexdigest(), samples=len(rows), bytes=size, cities=cities)


def _member(name: str, data: bytes) -> bytes:
    """Return a member as it lies in a tar."""
    return b"".join([_header(name, len(data)), data, bytes(-len(data) % tarfile.BLOCKSIZE)])


def _header(name: str, size: int) -> bytes:
    """Return the header that `tarfile` writes for a file of *name*, at most 100 ASCII characters, and *size* bytes.

    `tarfile` takes a quarter of a shard's time to write it; but for these two and the checksum all headers are the same.
    """
    header = bytearray(_BLANK)
    header[: len(name)] = name.encode("ascii")
    header[124:135] = b"%011o" % size
    # The sum of all bytes, those of the sum itself counted as spaces.
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


# A TarInfo's defaults: no owner, no time. So the bytes depend on the content alone.
_BLANK = tarfile.TarInfo().tobuf(tarfile.USTAR_FORMAT)
