"""Writing shards: tar files in the WebDataset convention, the same bytes for the same samples."""

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from etl.transform.archive import Pair
from etl.transform.check import read_caption
from snap2caption.manifest import Shard, Split

SAMPLES_PER_SHARD = 2000
"""About 50 MB of InstaCities photos: large enough for an object store, small enough to resume by."""


def write_shard(corpus: Path, out: Path, split: Split, number: int, pairs: Sequence[Pair]) -> Shard:
    """Write one shard: for each pair ``<key>.jpg``, the corpus's own bytes, and ``<key>.json``."""
    path = out / f"{split}-{number:06d}.tar"
    with corpus.open("rb") as archive, tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for index, pair in enumerate(pairs):
            key = f"{number * SAMPLES_PER_SHARD + index:09d}"
            caption, tags = read_caption(archive, pair)
            row = {"id": pair.id, "city": pair.city, "caption": caption, "hashtags": tags}
            _add(shard, f"{key}.jpg", pair.image.read(archive))
            _add(shard, f"{key}.json", json.dumps(row, ensure_ascii=False).encode())
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    cities = dict(sorted(Counter(pair.city for pair in pairs).items()))
    return Shard(name=path.name, sha256=digest, samples=len(pairs), bytes=path.stat().st_size, cities=cities)


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    # A TarInfo's defaults: no owner, no time. So the bytes depend on the content alone.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
