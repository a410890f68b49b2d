"""Writing shards: tar files in the WebDataset convention, the same bytes for the same samples."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from etl.transform.archive import open_archive
from etl.transform.check import Checked
from snap2caption.manifest import Shard, Split

SAMPLES_PER_SHARD = 2000
"""About 50 MB of InstaCities photos: large enough for an object store, small enough to resume by."""


def write_shard(corpus: Path, out: Path, split: Split, number: int, samples: Sequence[Checked]) -> Shard:
    """Write one shard: for each sample ``<key>.jpg``, the corpus's own bytes, and ``<key>.json``."""
    path = out / f"{split}-{number:06d}.tar"
    with open_archive(corpus) as archive, tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as shard:
        for index, sample in enumerate(samples):
            key = f"{number * SAMPLES_PER_SHARD + index:09d}"
            row = {
                "id": sample.pair.id,
                "city": sample.pair.city,
                "caption": sample.caption,
                "hashtags": list(sample.hashtags),
            }
            _add(shard, f"{key}.jpg", archive.read(sample.pair.image))
            _add(shard, f"{key}.json", json.dumps(row, ensure_ascii=False).encode())
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Shard(name=path.name, sha256=digest, samples=len(samples), bytes=path.stat().st_size)


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    # A TarInfo's defaults: no owner, no time. So the bytes depend on the content alone.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, io.BytesIO(data))
