"""The folder of versions: one run at a time for the same input, published by one rename, found again without work."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snap2caption.manifest import NAME


class Slot:
    """The place in *out* of the version that an input, named by its hash, gives. It holds a lock for as long as it is open."""

    def __init__(self, out: Path, name: str) -> None:
        self._out = out
        self._record = out / ".inputs" / name
        self._drafts = f".work-{name[:16]}-"

    def known(self) -> Path | None:
        """Return the version that an earlier run made from the same input."""
        try:
            version = self._out / self._record.read_text()
        except FileNotFoundError:
            return None
        return version if (version / NAME).is_file() else None

    def draft(self) -> Path:
        """Return a new folder to write the version in; what killed runs left is removed."""
        for leftover in self._out.glob(f"{self._drafts}*"):
            shutil.rmtree(leftover)
        # Never the same name twice: a worker that outlives its killed parent by a moment may still write.
        draft = self._out / f"{self._drafts}{secrets.token_hex(4)}"
        draft.mkdir()
        return draft

    def publish(self, draft: Path, version: str) -> Path:
        """Give the draft its final name, and remember it."""
        final = self._out / version
        for file in draft.iterdir():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        try:
            draft.rename(final)
        except OSError:
            # The same content came from another input (an archive packed anew). Anything else in the way is an error.
            if not (final / NAME).is_file():
                raise
            shutil.rmtree(draft)
        part = self._record.with_suffix(".part")
        part.write_text(version)
        part.replace(self._record)
        return final


@contextmanager
def open_slot(out: Path, name: str) -> Iterator[Slot]:
    """Open the slot of the input *name*; waits while another process has it open."""
    (out / ".inputs").mkdir(parents=True, exist_ok=True)
    with (out / ".inputs" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go by the system when the process ends, however it does
        yield Slot(out, name)
