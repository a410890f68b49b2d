"""Dataset version in its place: a store, a folder or a mount."""

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from snap2caption.datasets.manifest import NAME, File, Manifest, Shard
from snap2caption.errors import UserError
from snap2caption.store import StoreError, open_store

logger = logging.getLogger(__name__)

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A dataset version: its place and its manifest.

    It holds no connection, since each read opens one. So it can be passed to threads and to other processes.
    """

    uri: str
    manifest: Manifest

    @classmethod
    def open(cls, where: str) -> "DatasetVersion":
        """Read the manifest of the dataset version at *where*: a URI (``file://``, ``s3://``, ``swift://``) or a
        folder.

        Raises:
            UserError: there is no dataset version at *where*, or a different one than its name says.
        """
        store = open_store(where if "://" in where else Path(where).resolve().as_uri())
        with store.get(NAME) as stream:
            manifest = Manifest.parse(stream.read(), f"{store.uri}/{NAME}")
        manifest.check_place(store.uri)
        return cls(store.uri, manifest)

    @contextmanager
    def stream(self, file: File | Shard) -> Iterator[BinaryIO]:
        """Read a file of the version from its store, once and sequentially.

        The bytes are not verified; `fetch` verifies them.

        Raises:
            StoreError: the store refused, is unavailable, or lacks the file, or the version was withdrawn.
        """
        self._check(file)
        with open_store(self.uri).get(file.name) as source:
            try:
                yield source
            except OSError as error:
                raise StoreError(
                    f"{file.name} of {self.uri} can't be read ({error.strerror or error}); "
                    "check the store, then try again."
                ) from error

    @contextmanager
    def verified(self, file: File | Shard) -> Iterator[BinaryIO]:
        """Read a file like `stream`, and compare its digest with the manifest's at the end of the block.

        Raises:
            StoreError: as for `stream`.
            UserError: the digest differs.
        """
        with self.stream(file) as source:
            content = _Digested(source)
            yield cast("BinaryIO", content)
            while content.read(_PIECE):
                pass
        if content.digest.hexdigest() != file.sha256:
            raise UserError(
                f"{file.name} of {self.uri} is damaged (its SHA-256 differs from the manifest's); "
                "load the version again."
            )

    def fetch(self, file: File | Shard, folder: Path) -> Path:
        """Return a verified copy of a file of the version in *folder*, named by its digest. An existing copy is
        reused.

        The copy appears whole or not at all. Several processes may share the folder: they take turns, and the
        first one's copy serves all.

        Raises:
            StoreError: the store refused, is unavailable, or lacks the file, or the version was withdrawn.
            UserError: the digest differs, or the copy can't be written.
        """
        self._check(file)
        path = _copy_of(file, folder)
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder):
            if path.is_file() and _digest(path) == file.sha256:
                return path
            partial = path.with_suffix(".partial")
            # It may be left by a killed run, or a link that somebody put there.
            partial.unlink(missing_ok=True)
            try:
                self._copy(file, partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path

    def drop(self, file: File | Shard, folder: Path) -> None:
        """Remove the copy, complete or not, that `fetch` left in *folder*. A missing copy is not an error."""
        path = _copy_of(file, folder)
        if folder.is_dir():
            with _turn(folder):
                path.unlink(missing_ok=True)
                path.with_suffix(".partial").unlink(missing_ok=True)

    def _check(self, file: File | Shard) -> None:
        # An earlier copy must not be used for training either.
        if self.manifest.withdrawn and isinstance(file, Shard):
            raise StoreError(
                f"The dataset version at {self.uri} was withdrawn, as feedback in it was erased; "
                "use a newer one, which `snap2caption feedback build` makes."
            )

    def _copy(self, file: File | Shard, target: Path) -> None:
        logger.info("fetching %s/%s", self.uri, file.name)
        with self.verified(file) as source, target.open("wb") as copy:
            while piece := source.read(_PIECE):
                try:
                    copy.write(piece)
                except OSError as error:
                    raise UserError(
                        f"{file.name} can't be kept in {target.parent} ({error.strerror}); "
                        "make room there, then try again."
                    ) from error


class _Digested:
    """A stream that computes the SHA-256 of the bytes read from it."""

    def __init__(self, source: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._source = source

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes."""
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


def _copy_of(file: File | Shard, folder: Path) -> Path:
    return folder / f"{file.sha256}{Path(file.name).suffix}"


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The system releases it when the process ends in any way."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
