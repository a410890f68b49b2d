"""Local copy of a corpus archive that is in a store, for a stage that reads most of it in another order."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.place import Place, split_object
from etl.transform.atomic_files import atomic_write

_LEAST_SHARE = 0.25
"""The share of the archive that must be needed. From SeaweedFS on the same machine, one stream is 55 to 63 times as fast
as a request per photo of 10 kB, 19 to 21 times with 30 kB, and 6 times with 100 kB (8 threads).
"""

_SPARE = 1 << 30
"""Bytes of the disk that are left free."""


@contextmanager
def local_copy(corpus: Place, size: int, needed: int, folder: Path) -> Iterator[Place]:
    """Yield where to read members of the archive in any order: from a copy in *folder*, or where it is.

    It is copied if it is in a store, if *needed* is a good part of it, and if the disk has room for it next to what is
    made of it. Otherwise its ranges are requested one by one. The copy is removed afterwards.

    Args:
        corpus: the archive.
        size: its bytes.
        needed: the bytes of all members that are read.
        folder: a folder on this machine's disk, to which as many bytes as *needed* are written, and perhaps half more.

    Raises:
        StoreError: the archive can't be read.
        OSError: the disk fails.
    """
    room = shutil.disk_usage(folder).free - _SPARE
    if isinstance(corpus, Path) or needed < _LEAST_SHARE * size or room < size + 1.5 * needed:
        yield corpus
        return
    copy = folder / "corpus.zip"
    store, key = split_object(corpus)
    with store.get(key) as stream, atomic_write(copy, synced=False) as part, part.open("wb") as written:
        shutil.copyfileobj(stream, written, 1 << 20)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)
