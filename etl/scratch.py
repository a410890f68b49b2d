"""Scratch folder of a stage whose work area is in a store; one that a killed process left is removed by the next."""

import fcntl
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from snap2caption.settings import Settings


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield an empty folder on this machine's disk, under the state folder, and remove it afterwards."""
    root = Settings().state_dir.absolute() / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    for lock in root.glob("*.lock"):
        _remove_leftover(lock)
    folder = root / secrets.token_hex(8)
    lock = folder.with_suffix(".lock")
    with lock.open("w") as stream:
        # The system releases the lock when the process ends, however it ends.
        fcntl.flock(stream, fcntl.LOCK_EX)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _remove_leftover(lock: Path) -> None:
    with suppress(FileNotFoundError, BlockingIOError), lock.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between the making of a lock's file and its locking there is no folder yet.
        folder = lock.with_suffix("")
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)
