"""Files of a download: the partial file, its records, and the complete file under its final name."""

import builtins
import fcntl
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from etl.payload import is_zip
from snap2caption.errors import UserError
from snap2caption.redaction import redact_url

_log = logging.getLogger(__name__)

_SPARE = 1024 * 1024
"""Bytes of disk space that are left for aria2's control file."""

_CREDENTIALS = re.compile(r"sig|token|key|secret|pass|pwd|cred|auth|expires|^x-(amz|goog)-", re.IGNORECASE)
"""Names of URL parameters that grant access, and change when a URL is signed again."""


class DownloadFiles:
    """Paths of the download *name* in *folder*, which stays locked while this is open.

    The partial file is ``.<name>.part``; next to it are aria2's control file with the finished ranges and our
    record of its source. ``<name>.source.json`` says where the complete file came from; a file without it was
    not downloaded by us.
    """

    def __init__(self, folder: Path, name: str, lock: int) -> None:
        self.final = folder / name
        self.part = folder / f".{name}.part"
        self.lock = lock
        self._notes = folder / f".{name}.part.aria2"
        self._part_source = folder / f".{name}.part.json"
        self._source = folder / f"{name}.source.json"

    def is_complete(self, urls: Sequence[str], sha256: str | None, size: int | None) -> bool:
        """Whether the file under its final name is the requested one. If not, it stays until its replacement is
        complete.

        Raises:
            UserError: it is not, and we did not download it.
        """
        if not self.final.exists():
            return False
        length, known = self.final.stat().st_size, _read(self._source)
        is_whole = is_zip(self.final)
        is_ours = known is not None and (known.bytes == length or not is_whole)
        is_requested = is_ours and known is not None and known.is_of(urls)
        fits = is_requested if sha256 is None else _digest(self.final) == sha256.lower()
        if fits and is_whole and size in {None, length}:
            return True
        if not is_ours:
            raise UserError(
                f"{self.final} exists and was not fetched from these URLs; "
                "move it away, or give another folder with --out."
            )
        return False

    def prepare(self, urls: Sequence[str], sha256: str | None) -> None:
        """Keep a partial file from one of the same URLs, or with the same digest; remove any other."""
        known = _read(self._part_source)
        digest = sha256 and sha256.lower()
        if known is None or not (known.is_of(urls) or (digest is not None and known.sha256 == digest)):
            self.discard()
        _write(self._part_source, DownloadSource.of(urls, digest))

    def check_disk_space(self, length: int, done: int) -> None:
        """Make sure that the rest of a file of *length* bytes fits on the disk.

        Raises:
            UserError: it does not fit. The partial file stays, with room for its control file.
        """
        # Read the free space first: bytes that arrive in between must not count both as missing and as used.
        free = shutil.disk_usage(self.final.parent).free
        on_disk = self.part.stat().st_blocks * 512 if self.part.exists() else 0
        rest = length - max(done, on_disk)
        if rest > 0 and rest + _SPARE > free:
            raise UserError(
                f"The disk is full: {rest / 1e6:.0f} MB are still to come and {free / 1e6:.0f} MB are free; "
                f"free some space under {self.final.parent}, then try again."
            )

    def discard(self) -> None:
        """Remove the partial file and its records."""
        self.part.unlink(missing_ok=True)
        self.clean_up()

    def remove(self) -> None:
        """Remove the complete file, which has been copied elsewhere, and its record."""
        self.final.unlink(missing_ok=True)
        self._source.unlink(missing_ok=True)

    def clean_up(self) -> None:
        """Remove unusable leftovers, and complete a `publish` that was killed.

        Without the control file, aria2 would take a partial file as complete up to its length, holes included.
        """
        if not self._notes.exists() or self._notes.stat().st_size == 0:
            self.part.unlink(missing_ok=True)
        if self.part.exists():
            return
        self._notes.unlink(missing_ok=True)
        self._notes.with_name(f"{self._notes.name}__temp").unlink(missing_ok=True)  # aria2's temporary control file
        known = _read(self._part_source)
        if known is not None and self.final.exists() and known.bytes == self.final.stat().st_size:
            self._part_source.replace(self._source)
        self._part_source.unlink(missing_ok=True)

    def publish(self) -> Path:
        """Rename the complete file to its final name. If killed at any point, the next run finishes without
        another download.
        """
        with self.part.open("rb") as stream:
            os.fsync(stream.fileno())
        known = _read(self._part_source) or DownloadSource()
        _write(self._part_source, known.model_copy(update={"bytes": self.part.stat().st_size}))
        self.part.replace(self.final)
        self._part_source.replace(self._source)
        return self.final


class DownloadSource(BaseModel):
    """Source of a complete or partial file: no credentials, but enough to recognize the same URL."""

    urls: tuple[str, ...] = ()
    """Redacted, for display."""
    digests: tuple[str, ...] = ()
    """Digests of the part of each URL that stays the same when it is signed again."""
    sha256: str | None = None
    bytes: int | None = None
    """Size of the complete file."""

    @classmethod
    def of(cls, urls: Sequence[str], sha256: str | None) -> "DownloadSource":
        """Return the source of a file from *urls*."""
        return cls(urls=tuple(map(redact_url, urls)), digests=tuple(map(_identify, urls)), sha256=sha256)

    @classmethod
    def parse(cls, data: "builtins.bytes | None") -> "DownloadSource | None":
        """Return the source that *data* is the JSON of; None if there is none."""
        try:
            return None if data is None else cls.model_validate_json(data)
        except ValidationError:
            return None

    def fits(self, urls: Sequence[str], sha256: str | None, size: int | None) -> bool:
        """Whether a complete file is the requested one."""
        is_requested = self.is_of(urls) if sha256 is None else self.sha256 == sha256.lower()
        return is_requested and size in {None, self.bytes}

    def is_of(self, urls: Sequence[str]) -> bool:
        """Whether it is from one of these URLs."""
        return not set(self.digests).isdisjoint(map(_identify, urls))


def _identify(url: str) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parts.query.split("&") if not _CREDENTIALS.search(pair.partition("=")[0])]
    stays = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="&".join(query), fragment="")
    return hashlib.sha256(stays.geturl().encode()).hexdigest()


def _read(file: Path) -> DownloadSource | None:
    try:
        return DownloadSource.parse(file.read_bytes())
    except OSError:
        return None


def _write(file: Path, source: DownloadSource) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(source.model_dump_json(exclude_none=True))
    draft.replace(file)


@contextmanager
def open_download(folder: Path, name: str) -> Iterator[DownloadFiles]:
    """Open the files of the download *name* in *folder*; waits while another run has them open.

    Raises:
        UserError: the folder can't be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / f".{name}.lock").open("w")
    except OSError as error:
        raise UserError(
            f"{folder} can't be written to ({error.strerror}); give a folder that you may write to."
        ) from error
    with stream:
        _lock(stream.fileno(), name)
        files = DownloadFiles(folder, name, stream.fileno())
        files.clean_up()
        try:
            yield files
        finally:
            files.clean_up()


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.info("waiting for another run, or its aria2, to finish with %s", name)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
