"""Extract: fetch the corpus zip with aria2, over many connections and from several mirrors."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from etl.aria2 import Daemon
from snap2caption.errors import UserError

_POLL = 0.25

# aria2's exit statuses (its manual, "EXIT STATUS"), as sentences.
_CAUSES = {
    "1": "The server at {url} can't be reached; check the address and the network, then try again",
    "2": "The server at {url} did not answer in time; try again, or give another mirror",
    "3": "The server has no file at {url} (404); check the URL",
    "6": "The network failed while fetching {url}; try again, it goes on from where it was",
    "9": "The disk is full; free some space under {out}, then try again",
    "19": "The name of the host in {url} can't be resolved; check the URL",
    "22": "The server refused {url}; check the URL and whether it needs a login",
    "24": "The server wants a login for {url}; give a URL that needs none",
    "32": "What {url} sent has not the digest {sha256}; check the digest, or give another mirror. The bad file was removed",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is: bytes done and in all (0 if not known yet), bytes a second."""

    done: int
    total: int
    speed: int

    def __str__(self) -> str:
        """Return it for a log: percent, speed, time left."""
        percent = f"{100 * self.done / self.total:.1f} %" if self.total else "starting"
        left = f", {(self.total - self.done) / self.speed:.0f} s left" if self.speed else ""
        return f"{percent} of {self.total / 1e6:.1f} MB at {self.speed / 1e6:.1f} MB/s{left}"


def extract(
    urls: Sequence[str], out: Path, *, sha256: str | None = None, on_progress: Callable[[Progress], None] | None = None
) -> Path:
    """Download a file into the folder *out*, or go on with a download that was cut off.

    The file has its final name only when it is complete and verified. One that is there already, fetched from one of the same URLs
    or with the right digest, is not fetched again.

    Args:
        urls: mirrors of one file; each gives a part of the bytes.
        out: the folder.
        sha256: the file's digest in hex; checked if given.
        on_progress: told some times a second.

    Returns:
        The file's path.

    Raises:
        UserError: with one sentence for each cause.
    """
    name = _check(urls, sha256)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} can't be made ({error.strerror}); give a folder that you may write to.") from error
    final, record = out / name, out / f"{name}.source.json"
    if final.exists() and _is_the_same(final, record, urls, sha256):
        return final
    partial = out / f"{name}.part"
    _forget_unless_resumable(partial)
    with _explained(partial), Daemon(out) as daemon, _removed_if_bad(partial):
        _fetch(daemon, urls, partial, sha256, on_progress or (lambda _: None))
    _publish(partial, final)
    record.write_text(json.dumps({"urls": sorted(urls), "bytes": final.stat().st_size}))
    return final


def _forget_unless_resumable(partial: Path) -> None:
    """Remove a part without aria2's notes of which bytes it has: aria2 would take it for whole as far as it reaches."""
    control = _control(partial)
    if not control.exists() or control.stat().st_size == 0:
        control.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)


def _control(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.aria2")


@contextmanager
def _explained(partial: Path) -> Iterator[None]:
    """Turn what a daemon that is gone makes of a call into a sentence."""
    from requests import RequestException

    try:
        yield
    except RequestException as error:
        raise UserError(
            f"aria2 ended while it was fetching {partial.stem}; try again, it goes on from where it was."
        ) from error


class _BadDigestError(UserError):
    """What came is not what was asked for."""


def _check(urls: Sequence[str], sha256: str | None) -> str:
    if not urls:
        raise UserError("No URL was given; give at least one address of the corpus zip.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f"{sha256!r} is not a SHA-256 digest; give 64 hexadecimal digits.")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "ftp"} or not parts.hostname:
            raise UserError(f"{url!r} is not an address that can be fetched; give a http, https or ftp URL.")
    # The last part of the path, and nothing in it that could lead out of the folder.
    name = re.sub(r"[^\w.-]", "_", unquote(urlsplit(urls[0]).path).rsplit("/", 1)[-1]).lstrip(".")
    return name or "corpus.zip"


def _is_the_same(final: Path, record: Path, urls: Sequence[str], sha256: str | None) -> bool:
    if sha256 is not None:
        with final.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256.lower()
    try:
        known: dict[str, Any] = json.loads(record.read_text())
        return bool(set(known["urls"]) & set(urls)) and known["bytes"] == final.stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fetch(
    daemon: Daemon, urls: Sequence[str], partial: Path, sha256: str | None, on_progress: Callable[[Progress], None]
) -> None:
    download = daemon.add(urls, partial.name, sha256)
    while True:
        download.update()
        on_progress(Progress(download.completed_length, download.total_length, download.download_speed))
        if download.is_complete:
            return
        if download.has_failed:
            cause = _CAUSES.get(download.error_code, "aria2 failed on {url} (status {code}: {message}); try again")
            sentence = cause.format(
                url=urls[0], out=partial.parent, sha256=sha256, code=download.error_code, message=download.error_message
            )
            raise (_BadDigestError if download.error_code == "32" else UserError)(f"{sentence}.")
        time.sleep(_POLL)


@contextmanager
def _removed_if_bad(partial: Path) -> Iterator[None]:
    try:
        yield
    except _BadDigestError:
        partial.unlink(missing_ok=True)
        _control(partial).unlink(missing_ok=True)
        raise


def _publish(partial: Path, final: Path) -> None:
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(final)
