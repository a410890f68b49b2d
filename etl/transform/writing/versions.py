"""The folder of versions: published by one rename, one process at a time for the same input, found again without work."""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from etl.transform.atomic_files import digest_of, sync
from snap2caption.datasets.manifest import NAME, Manifest
from snap2caption.errors import UserError
from snap2caption.names import is_version
from snap2caption.parallel import in_threads

_WORK = re.compile(r"\.work-([0-9a-f]{64})-\d+")


class VersionSlot:
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
        """Return the version that an earlier run made from the same input, if every byte of it is still there."""
        try:
            version = self._record.read_text()
        except FileNotFoundError:
            return None
        if not is_version(version):
            return None
        return self._out / version if _is_whole(self._out / version, self._manifest_record(version)) else None

    def publish(self, draft: Path, manifest: Manifest) -> Path:
        """Give the folder *draft*, which holds the version of *manifest*, its final name, remember it, and remove the input's work.

        If the version is there already, those of its files that are missing or damaged are replaced, by one rename each: a reader sees the damaged
        file or the whole one, and what is whole is left alone.
        """
        version, files = manifest.version, [*(file.name for file in manifest.files()), NAME]
        final, record = self._out / version, self._manifest_record(version)
        for file in draft.iterdir():
            if file.name in files:
                sync(file)
            else:
                file.unlink()  # half-written by a worker of a run that was killed
        sync(draft)
        # Other inputs may have the same content (an archive packed anew).
        with locked(record.with_suffix(".lock")):
            if not _is_whole(final, record):
                _write_record(record, digest_of(draft / NAME))
                try:
                    draft.rename(final)
                except OSError:
                    if not final.is_dir():
                        raise
                    _mend(final, draft, files)
                sync(self._out)
        _write_record(self._record, version)
        self.discard()
        return final

    def _manifest_record(self, version: str) -> Path:
        """Return the file that holds the digest of a version's manifest, and so of all of it."""
        return self._out / ".inputs" / f"version-{version}"

    def discard(self) -> None:
        """Remove the input's work in progress."""
        for folder in self._out.glob(f".work-{self._name}-*"):
            shutil.rmtree(folder)


def _is_whole(folder: Path, record: Path) -> bool:
    """Whether *folder* holds the manifest whose digest is in *record*, and every file as it says."""
    try:
        if digest_of(folder / NAME) != record.read_text():
            return False
        manifest = Manifest.read(folder)
        found = [(file, manifest.find(file, folder)) for file in manifest.files()]
        # Lengths first: most damage is told at once.
        return all(path.stat().st_size == file.bytes for file, path in found) and all(
            in_threads(lambda one: digest_of(one[1]) == one[0].sha256, found, os.cpu_count() or 1)
        )
    except (OSError, UserError):
        return False


def _mend(final: Path, draft: Path, files: Sequence[str]) -> None:
    """Replace those *files* of the version in *final* that differ from the ones in *draft*; the manifest is the last of them."""
    for name in files:
        if not (final / name).is_file() or digest_of(final / name) != digest_of(draft / name):
            (draft / name).replace(final / name)
    sync(final)


def _write_record(record: Path, text: str) -> None:
    part = record.with_suffix(".part")
    part.write_text(text)
    part.replace(record)


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


def slot_of(work: Path) -> VersionSlot:
    """Return the slot whose work folder *work* is, or was.

    Raises:
        UserError: it never was one.
    """
    match = _WORK.fullmatch(work.name)
    if match is None:
        raise UserError(f"{work} is no work folder; give the one that `snap2caption transform-plan` prints.")
    return VersionSlot(work.parent, match[1])


@contextmanager
def locked(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock *file*, with others that share it or alone."""
    with file.open("w") as stream:
        fcntl.flock(
            stream, fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        )  # let go by the system when the process ends, however it does
        yield
