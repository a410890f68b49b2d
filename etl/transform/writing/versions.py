"""Folder of versions: published by one rename, locked per input, and found again without repeating work."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from etl.place import Place
from etl.transform.atomic_files import digest_of, sync
from etl.transform.workspace import Workspace
from snap2caption.datasets.manifest import NAME, Manifest
from snap2caption.errors import UserError
from snap2caption.names import is_version
from snap2caption.parallel import in_threads


class FolderSlot:
    """The slot in the folder *out* for the version that an input, named by its hash, produces."""

    def __init__(self, out: Path, name: str) -> None:
        self._out = out
        self._name = name
        self._record = out / ".inputs" / name

    @contextmanager
    def locked(self, *, shared: bool = False) -> Iterator[None]:
        """Lock the slot, shared or exclusively; waits while a conflicting lock is held."""
        (self._out / ".inputs").mkdir(parents=True, exist_ok=True)
        with file_lock(self._record.with_suffix(".lock"), shared=shared):
            yield

    @contextmanager
    def workspace(self, slice_pairs: int) -> Iterator[Workspace]:
        """Open the input's work in progress, which has a folder of its own for each slice size."""
        yield Workspace(self._out / f".work-{self._name}-{slice_pairs}")

    def existing(self) -> Path | None:
        """Return the version that an earlier run made from the same input, if every byte of it is intact."""
        try:
            version = self._record.read_text()
        except FileNotFoundError:
            return None
        if not is_version(version):
            return None
        return self._out / version if _is_whole(self._out / version, self._manifest_record(version)) else None

    def publish(self, draft: Path, manifest: Manifest) -> Path:
        """Rename the folder *draft*, which holds the version of *manifest*, to its final name, record it, and
        remove the input's work.

        If the version exists already, its missing or damaged files are replaced, by one rename each: a reader
        sees the damaged file or the intact one. Intact files are left alone.
        """
        version, files = manifest.version, [*(file.name for file in manifest.files()), NAME]
        final, record = self._out / version, self._manifest_record(version)
        for file in draft.iterdir():
            if file.name in files:
                sync(file)
            else:
                file.unlink()  # left half-written by a worker of a killed run
        sync(draft)
        # Other inputs may have the same content (an archive packed again).
        with file_lock(record.with_suffix(".lock")):
            if not _is_whole(final, record):
                _write_record(record, digest_of(draft / NAME))
                try:
                    draft.rename(final)
                except OSError:
                    if not final.is_dir():
                        raise
                    _repair(final, draft, files)
                sync(self._out)
        _write_record(self._record, version)
        self.discard()
        return final

    def put_beside(self, file: Path, name: str) -> None:
        """Rename *file*, which is on the same disk."""
        file.replace(self._out / name)

    def _manifest_record(self, version: str) -> Path:
        """Return the file with the digest of a version's manifest, which covers the whole version."""
        return self._out / ".inputs" / f"version-{version}"

    def discard(self) -> None:
        """Remove the input's work in progress."""
        for folder in self._out.glob(f".work-{self._name}-*"):
            shutil.rmtree(folder)


def _is_whole(folder: Path, record: Path) -> bool:
    """Whether *folder* holds the manifest whose digest is in *record*, and every file that it lists."""
    try:
        if digest_of(folder / NAME) != record.read_text():
            return False
        manifest = Manifest.read(folder)
        if manifest.croissant is None:
            return False  # made by an earlier release; the same samples are written again with what it lacks
        found = [(file, manifest.find(file, folder)) for file in manifest.files()]
        # Sizes first: they reveal most damage at once.
        return all(path.stat().st_size == file.bytes for file, path in found) and all(
            in_threads(lambda one: digest_of(one[1]) == one[0].sha256, found, os.cpu_count() or 1)
        )
    except (OSError, UserError):
        return False


def _repair(final: Path, draft: Path, files: Sequence[str]) -> None:
    """Replace the *files* of the version in *final* that differ from the ones in *draft*; the manifest comes last."""
    for name in files:
        if not (final / name).is_file() or digest_of(final / name) != digest_of(draft / name):
            (draft / name).replace(final / name)
    sync(final)


def _write_record(record: Path, text: str) -> None:
    part = record.with_suffix(".part")
    part.write_text(text)
    part.replace(record)


@contextmanager
def scan_folder(out: Path, corpus: Place) -> Iterator[Path]:
    """Yield a folder for data on *corpus* before its digest, and so its slot, is known. One process at a time
    has it.
    """
    place = out / ".inputs" / f"path-{hashlib.sha256(os.fsencode(str(corpus))).hexdigest()}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(place.with_suffix(".lock")):
        place.mkdir(exist_ok=True)  # may exist after a killed run; its files will be overwritten
        try:
            yield place
        finally:
            shutil.rmtree(place)


@contextmanager
def file_lock(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock *file*, shared or exclusively."""
    with file.open("w") as stream:
        # The system releases the lock when the process ends, however it ends.
        fcntl.flock(stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
