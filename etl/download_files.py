"""The files of one download in its folder: the part, the notes on it, and the file under its final name."""

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
"""Bytes of a disk that are left for aria2's notes."""

_PASSING = re.compile(r"sig|token|key|secret|pass|pwd|cred|auth|expires|^x-(amz|goog)-", re.IGNORECASE)
"""Names of parameters of a URL that give the right to fetch, and change when it is given anew."""


class DownloadFiles:
    """Where the file *name* lands in *folder*. It is locked for as long as it is open.

    A part is ``.<name>.part``, with aria2's notes of which bytes it has and our own of where it comes from beside it. ``<name>.source.json`` tells
    where the file came from; a file without it is somebody else's.
    """

    def __init__(self, folder: Path, name: str, lock: int) -> None:
        self.final = folder / name
        self.part = folder / f".{name}.part"
        self.lock = lock
        self._notes = folder / f".{name}.part.aria2"
        self._part_source = folder / f".{name}.part.json"
        self._source = folder / f"{name}.source.json"

    def is_there(self, urls: Sequence[str], sha256: str | None, size: int | None) -> bool:
        """Whether the file under its final name is what is asked for. If not, it stays until another one has come whole.

        Raises:
            UserError: it is not, and was not fetched by us.
        """
        if not self.final.exists():
            return False
        length, known = self.final.stat().st_size, _read(self._source)
        is_whole = is_zip(self.final)
        is_ours = known is not None and (known.bytes == length or not is_whole)
        is_asked = is_ours and known is not None and known.is_of(urls)
        fits = is_asked if sha256 is None else _digest(self.final) == sha256.lower()
        if fits and is_whole and size in {None, length}:
            return True
        if not is_ours:
            raise UserError(
                f"{self.final} is there and was not fetched from these URLs; move it away, or give another folder with --out."
            )
        return False

    def prepare(self, urls: Sequence[str], sha256: str | None) -> None:
        """Keep a part that came from one of the same URLs, or belongs to the same digest; of any other nothing must remain."""
        known = _read(self._part_source)
        digest = sha256 and sha256.lower()
        if known is None or not (known.is_of(urls) or (digest is not None and known.sha256 == digest)):
            self.forget()
        _write(self._part_source, _Source.of(urls, digest))

    def check_room(self, length: int, done: int) -> None:
        """Make sure that the rest of a file of *length* bytes has room on the disk.

        Raises:
            UserError: it has not. What is there of the part stays, with room for the notes on it.
        """
        # What is free first: bytes that come in between must not count as still to come and as taken, too.
        free = shutil.disk_usage(self.final.parent).free
        on_disk = self.part.stat().st_blocks * 512 if self.part.exists() else 0
        rest = length - max(done, on_disk)
        if rest > 0 and rest + _SPARE > free:
            raise UserError(
                f"The disk is full: {rest / 1e6:.0f} MB are still to come and {free / 1e6:.0f} MB are free; "
                f"free some space under {self.final.parent}, then try again."
            )

    def forget(self) -> None:
        """Remove the part and what is known of it."""
        self.part.unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """Remove what nothing can be made of, and complete what a killed `publish` left undone.

        Without notes of which bytes it has, aria2 would take a part for whole as far as it reaches, holes and all.
        """
        if not self._notes.exists() or self._notes.stat().st_size == 0:
            self.part.unlink(missing_ok=True)
        if self.part.exists():
            return
        self._notes.unlink(missing_ok=True)
        self._notes.with_name(f"{self._notes.name}__temp").unlink(missing_ok=True)  # what aria2 writes them to first
        known = _read(self._part_source)
        if known is not None and self.final.exists() and known.bytes == self.final.stat().st_size:
            self._part_source.replace(self._source)
        self._part_source.unlink(missing_ok=True)

    def publish(self) -> Path:
        """Give the complete part its final name. Killed at any point, the next run does the rest, without another download."""
        with self.part.open("rb") as stream:
            os.fsync(stream.fileno())
        known = _read(self._part_source) or _Source()
        _write(self._part_source, known.model_copy(update={"bytes": self.part.stat().st_size}))
        self.part.replace(self.final)
        self._part_source.replace(self._source)
        return self.final


class _Source(BaseModel):
    """Where a file, or a part of one, comes from: no credentials, but enough to know the same URL again."""

    urls: tuple[str, ...] = ()
    """Redacted, for people."""
    digests: tuple[str, ...] = ()
    """Of what stays of each URL when it is signed anew."""
    sha256: str | None = None
    bytes: int | None = None
    """Of the complete file."""

    @classmethod
    def of(cls, urls: Sequence[str], sha256: str | None) -> "_Source":
        return cls(urls=tuple(map(redact_url, urls)), digests=tuple(map(_identify, urls)), sha256=sha256)

    def is_of(self, urls: Sequence[str]) -> bool:
        return not set(self.digests).isdisjoint(map(_identify, urls))


def _identify(url: str) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parts.query.split("&") if not _PASSING.search(pair.partition("=")[0])]
    stays = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="&".join(query), fragment="")
    return hashlib.sha256(stays.geturl().encode()).hexdigest()


def _read(file: Path) -> _Source | None:
    try:
        return _Source.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(file: Path, source: _Source) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(source.model_dump_json(exclude_none=True))
    draft.replace(file)


@contextmanager
def open_landing(folder: Path, name: str) -> Iterator[DownloadFiles]:
    """Open the place of the file *name* in *folder*; waits while another run has it open.

    Raises:
        UserError: the folder can't be made or written to.
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
        landing = DownloadFiles(folder, name, stream.fileno())
        landing.tidy()
        try:
            yield landing
        finally:
            landing.tidy()


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _log.info("waiting for another run, or its aria2, to be done with %s", name)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
