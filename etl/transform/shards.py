"""Writing shards: tar files in the WebDataset convention, the same bytes for the same samples."""

import hashlib
import io
import json
import tarfile
from collections import Counter
from pathlib import Path

from etl.transform import columns
from etl.transform.files import written
from etl.transform.member import Member
from snap2caption.manifest import Shard

SAMPLES_PER_SHARD = 2000
"""About 50 MB of InstaCities photos: large enough for an object store, small enough to resume by."""


def write_shard(corpus: Path, posts: Path, number: int, path: Path) -> Shard:
    """Write the shard *path* of row group *number* of the table *posts*: for each ``<key>.jpg``, the corpus's own bytes, and ``<key>.json``."""
    import pyarrow.parquet as pq

    group = pq.ParquetFile(posts).read_row_group(number)
    places = zip(*(group[name].to_pylist() for name in columns.places("image")), strict=True)
    rows = group.select(["id", "city", "caption", "hashtags"]).to_pylist()
    with (
        corpus.open("rb") as archive,
        written(path, synced=False) as part,
        tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as shard,
    ):
        for index, (row, place) in enumerate(zip(rows, places, strict=True)):
            key = f"{number * SAMPLES_PER_SHARD + index:09d}"
            _add(shard, f"{key}.jpg", Member(*place).read(archive))
            _add(shard, f"{key}.json", json.dumps(row, ensure_ascii=False).encode())
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    cities = dict(sorted(Counter(row["city"] for row in rows).items()))
    return Shard(name=path.name, sha256=digest, samples=len(rows), bytes=path.stat().st_size, cities=cities)


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    # A TarInfo's defaults: no owner, no time. So the bytes depend on the content alone.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
