"""Version slots, in a folder or in a store."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from etl.place import Place
from etl.scratch import scratch_folder
from etl.transform.workspace import Workspace
from etl.transform.writing import versions
from etl.transform.writing.stored_versions import StoredSlot
from snap2caption.datasets.manifest import Manifest
from snap2caption.errors import UserError

_WORK = re.compile(r"\.work-([0-9a-f]{64})-(\d+)")


class VersionSlot(Protocol):
    """Where the version that an input produces goes, with the work in progress on it."""

    def locked(self, *, shared: bool = False) -> AbstractContextManager[None]:
        """Lock the slot, shared or exclusively, against other processes on the same disk."""
        ...

    def workspace(self, slice_pairs: int) -> AbstractContextManager[Workspace]:
        """Open the input's work in progress. Each slice size has its own."""
        ...

    def existing(self) -> Place | None:
        """Return the version that an earlier run made from the same input, if all of it is intact."""
        ...

    def publish(self, draft: Path, manifest: Manifest) -> Place:
        """Publish the version of *manifest*, whose files lie in the folder *draft*, and remove the input's work."""
        ...

    def put_beside(self, file: Path, name: str) -> None:
        """Put a file that is not part of a version beside the versions."""
        ...

    def discard(self) -> None:
        """Remove the input's work in progress."""
        ...


def slot_in(out: Place, name: str) -> VersionSlot:
    """Return the slot in *out* of the input whose hash is *name*."""
    return versions.FolderSlot(out, name) if isinstance(out, Path) else StoredSlot(out, name)


def slot_of(work: Place) -> tuple[VersionSlot, int]:
    """Return the slot whose work is, or was, at *work*, and the slice size of that work.

    Raises:
        UserError: it is not the place of work in progress.
    """
    parent, name = (work.parent, work.name) if isinstance(work, Path) else _divide(work)
    match = _WORK.fullmatch(name)
    if match is None:
        raise UserError(f"{work} is not a work folder; give the one that `snap2caption transform-plan` prints.")
    return slot_in(parent, match[1]), int(match[2])


@contextmanager
def scan_folder(out: Place, corpus: Place) -> Iterator[Path]:
    """Yield a folder on this machine's disk for data on *corpus* before its digest, and so its slot, is known."""
    with versions.scan_folder(out, corpus) if isinstance(out, Path) else scratch_folder() as folder:
        yield folder


def _divide(uri: str) -> tuple[str, str]:
    parent, _, name = uri.rpartition("/")
    return parent, name
