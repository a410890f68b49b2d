"""The folder of versions: published by one rename, one process at a time for the same input, found again without work."""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.transform.files import sync
from snap2caption.errors import UserError
from snap2caption.manifest import NAME

_WORK = re.compile(r"\.work-([0-9a-f]{64})-\d+")


class Slot:
    """The place in the folder *out* of the version that an input, named by its hash, gives."""

    def __init__(self, out: Path, name: str) -> None:
        self._out = out
        self._name = name
        self._record = out / ".inputs" / name

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the slot, with others that share it or alone; waits while one that may not is holding it."""
        (self._out / ".inputs").mkdir(parents=True, exist_ok=True)
        with locked(self._record.with_suffix(".lock"), shared=shared):
            yield

    def work(self, slice_pairs: int) -> Path:
        """Return the folder for the input's work in progress; slices of another size have another one."""
        return self._out / f".work-{self._name}-{slice_pairs}"

    def known(self) -> Path | None:
        """Return the version that an earlier run made from the same input."""
        try:
            version = self._out / self._record.read_text()
        except FileNotFoundError:
            return None
        return version if (version / NAME).is_file() else None

    def publish(self, draft: Path, version: str, files: Collection[str]) -> Path:
        """Give the folder *draft* with its *files* its final name, remember it, and remove the input's work."""
        final = self._out / version
        for file in draft.iterdir():
            if file.name in files:
                sync(file)
            else:
                file.unlink()  # half-written by a worker of a run that was killed
        sync(draft)
        try:
            draft.rename(final)
        except OSError:
            # The same content came from another input (an archive packed anew). Anything else in the way is an error.
            if not (final / NAME).is_file():
                raise
        sync(self._out)
        part = self._record.with_suffix(".part")
        part.write_text(version)
        part.replace(self._record)
        self.discard()
        return final

    def discard(self) -> None:
        """Remove the input's work in progress."""
        for folder in self._out.glob(f".work-{self._name}-*"):
            shutil.rmtree(folder)


@contextmanager
def lobby(out: Path, corpus: Path) -> Iterator[Path]:
    """Give a folder for what is found in *corpus* before its digest, and so its slot, is known; one process at a time has it."""
    place = out / ".inputs" / f"path-{hashlib.sha256(os.fsencode(corpus)).hexdigest()}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with locked(place.with_suffix(".lock")):
        place.mkdir(exist_ok=True)  # there already: a run was killed, and its files will be written again
        try:
            yield place
        finally:
            shutil.rmtree(place)


def slot_of(work: Path) -> Slot:
    """Return the slot whose work folder *work* is, or was.

    Raises:
        UserError: it never was one.
    """
    match = _WORK.fullmatch(work.name)
    if match is None:
        raise UserError(f"{work} is no work folder; give the one that `snap2caption transform-plan` prints.")
    return Slot(work.parent, match[1])


@contextmanager
def locked(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock *file*, with others that share it or alone."""
    with file.open("w") as stream:
        fcntl.flock(
            stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        )  # let go by the system when the process ends, however it does
        yield
