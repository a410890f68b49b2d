"""The files of one download in its folder: the part, the notes on it, and the file under its final name."""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snap2caption.errors import UserError

_log = logging.getLogger(__name__)

_SPARE = 1024 * 1024
"""Bytes of a disk that are left for aria2's notes."""


class Landing:
    """Where the file *name* lands in *folder*. It is locked for as long as it is open.

    A part is ``<name>.part``, with aria2's notes of which bytes it has beside it. ``<name>.source.json`` tells where the part, or the file once
    there is no part, comes from.
    """

    def __init__(self, folder: Path, name: str, lock: int) -> None:
        self.final = folder / name
        self.part = folder / f"{name}.part"
        self.lock = lock
        self._notes = folder / f"{name}.part.aria2"
        self._source = folder / f"{name}.source.json"

    def is_there(self, urls: Sequence[str], sha256: str | None, size: int | None) -> bool:
        """Whether the file under its final name is what is asked for. One that is known to be another is removed."""
        if not self.final.exists():
            return False
        length = self.final.stat().st_size
        if size not in {None, length} or (sha256 is not None and _digest(self.final) != sha256.lower()):
            self.final.unlink()
            return False
        known = self._known_source()
        return sha256 is not None or (known.get("bytes") == length and not set(urls).isdisjoint(known["urls"]))

    def prepare(self, urls: Sequence[str], sha256: str | None) -> None:
        """Keep a part that came from one of the same URLs, or belongs to the same digest; of any other nothing must remain."""
        known = self._known_source()
        if set(urls).isdisjoint(known["urls"]) and (sha256 is None or known.get("sha256") != sha256.lower()):
            self.forget()
        self._write_source({"urls": sorted(urls), "sha256": sha256 and sha256.lower()})

    def check_room(self, length: int, done: int) -> None:
        """Make sure that the rest of a file of *length* bytes has room on the disk.

        Raises:
            UserError: it has not. What is there of the part stays, with room for the notes on it.
        """
        on_disk = self.part.stat().st_blocks * 512 if self.part.exists() else 0
        rest = length - max(done, on_disk)
        free = shutil.disk_usage(self.final.parent).free
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
        """Remove what nothing can be made of.

        Without notes of which bytes it has, aria2 would take a part for whole as far as it reaches, holes and all.
        """
        if not self._notes.exists() or self._notes.stat().st_size == 0:
            self.part.unlink(missing_ok=True)
        if not self.part.exists():
            self._notes.unlink(missing_ok=True)
            self._notes.with_name(f"{self._notes.name}__temp").unlink(
                missing_ok=True
            )  # what aria2 writes them to first
        if not self.part.exists() and not self.final.exists():
            self._source.unlink(missing_ok=True)

    def publish(self) -> Path:
        """Give the complete part its final name. Killed at any point, the next run does the rest, without another download."""
        with self.part.open("rb") as stream:
            os.fsync(stream.fileno())
        self.final.unlink(missing_ok=True)
        self._write_source({**self._known_source(), "bytes": self.part.stat().st_size})
        self.part.replace(self.final)
        return self.final

    def _known_source(self) -> dict[str, Any]:
        try:
            known = json.loads(self._source.read_text())
        except (OSError, ValueError):
            return {"urls": []}
        return known if isinstance(known, dict) and isinstance(known.get("urls"), list) else {"urls": []}

    def _write_source(self, source: dict[str, Any]) -> None:
        draft = self._source.with_suffix(".draft")
        draft.write_text(json.dumps(source))
        draft.replace(self._source)


@contextmanager
def open_landing(folder: Path, name: str) -> Iterator[Landing]:
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
        landing = Landing(folder, name, stream.fileno())
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
