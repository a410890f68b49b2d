"""Delivery lock: of the processes that share a feedback folder, one at a time delivers the outbox to the store."""

import fcntl
import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self


class DeliveryLock:
    """A lock on a file in *folder*. If its process is killed, the system releases it.

    Replicas on other machines have folders and locks of their own, and share the outbox by claims.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.worker = _worker(folder)
        """The name of whoever has the lock. It outlives the process, so that what a killed process had claimed is the
        next one's at once."""
        self._path = folder / "delivery.lock"
        self._file: BinaryIO | None = None

    def take(self) -> bool:
        """Take the lock if it is free, and return whether this process has it."""
        if self._file is None:
            self._file = self._path.open("wb")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Release the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _worker(folder: Path) -> str:
    """Return the folder's name for claims, which the first process makes up."""
    path, draft = folder / "worker", folder / f".worker-{uuid.uuid4().hex}"
    if not path.exists():
        with draft.open("w") as stream:
            stream.write(uuid.uuid4().hex)
            stream.flush()
            # A power cut must not leave an empty name, which machines would share.
            os.fsync(stream.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
