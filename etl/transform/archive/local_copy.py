"""Local copy of a corpus archive that is in a store, for a stage that reads most of it in another order."""

import errno
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from etl.place import Place, split_object
from etl.transform.atomic_files import atomic_write

_LEAST_SHARE = 0.25
"""The share of the archive that must be needed. From SeaweedFS on the same machine, one stream is 55 to 63 times as fast
as a request per photo of 10 kB, 19 to 21 times with 30 kB, and 6 times with 100 kB (8 threads).
"""

_SPARE = 1 << 30
"""Bytes of the disk that are left free."""

_PER_PAIR = 2048
"""Bytes of the tables that are written beside the copy, and of what queries spill, per pair: about twice what ten million
pairs with captions of 150 characters left there, 0.5 kB of tables and 0.5 kB of posts in buckets.
"""

_BLOCK = 1 << 20
"""Bytes that are copied at a time."""


@contextmanager
def local_copy(corpus: Place, size: int, needed: int, pairs: int, folder: Path) -> Iterator[Callable[[], Place]]:
    """Yield a function that returns where to read members of the archive in any order: in a copy in *folder*, or where
    it is.

    It is copied if it is in a store, if *needed* is a good part of it, and if the disk has room for it next to what is
    made of it. Otherwise its ranges are requested one by one. Copying begins at once, beside other work, and the
    function waits for its end. The copy is removed afterwards.

    Args:
        corpus: the archive.
        size: its bytes.
        needed: the bytes of all members that may be read.
        pairs: the number of pairs in the archive.
        folder: a folder on this machine's disk, to which as many bytes as *needed* are written, and perhaps half more,
            and tables.

    Raises:
        StoreError: by the function: the archive can't be read.
        OSError: by the function: the disk fails. If it is full, the archive is read where it is.
    """
    room = shutil.disk_usage(folder).free - _SPARE
    if isinstance(corpus, Path) or needed < _LEAST_SHARE * size or room < size + 1.5 * needed + pairs * _PER_PAIR:
        yield lambda: corpus
        return
    copy, unwanted = folder / "corpus.zip", Event()
    with ThreadPoolExecutor(1) as background:
        copying = background.submit(_copy, corpus, copy, unwanted)
        try:
            yield copying.result
        finally:
            unwanted.set()
            wait([copying])
            copy.unlink(missing_ok=True)


def _copy(corpus: str, copy: Path, unwanted: Event) -> Place:
    """Copy the archive to *copy*, unless it is *unwanted* before the end; return where to read it."""
    store, key = split_object(corpus)
    try:
        with store.get(key) as stream, atomic_write(copy, synced=False) as part, part.open("wb") as written:
            while not unwanted.is_set() and (block := stream.read(_BLOCK)):
                written.write(block)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return corpus
    return copy
