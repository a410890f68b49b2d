"""Extract: download of the corpus zip with aria2, over many connections and from several mirrors."""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

from etl.aria2 import CONNECTIONS, Aria2, DownloadStatus, open_aria2
from etl.aria2_errors import BAD_DIGEST, NO_RANGES, TRANSIENT, explain, is_throttled, name
from etl.download_files import DownloadFiles, DownloadSource, open_download
from etl.payload import check_zip
from etl.place import AnyPlace
from etl.retry_after import fetch_retry_after
from etl.settings import Aria2Settings
from snap2caption.errors import UserError
from snap2caption.redaction import redact_url
from snap2caption.settings import Settings, read_settings
from snap2caption.store import open_store
from snap2caption.store.documents import put_document, read_object

_POLL = 0.25

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each retry after a server that has sent data failed; they restart when it sends more."""

FIRST_RETRIES = 3
"""Retries of a server that has sent nothing yet except 429 or 503."""

MAX_RETRY_AFTER = 300.0
"""Longest Retry-After in seconds that is honored; beyond it, the download fails and reports the time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a download: bytes done and in total (0 if unknown), bytes per second."""

    done: int
    total: int
    speed: int

    def __str__(self) -> str:
        """Format for a log: percent, speed, time left."""
        percent = f"{100 * self.done / self.total:.1f} %" if self.total else "starting"
        left = f", {(self.total - self.done) / self.speed:.0f} s left" if self.speed else ""
        return f"{percent} of {self.total / 1e6:.1f} MB at {self.speed / 1e6:.1f} MB/s{left}"


OnProgress = Callable[[Progress], None]


def extract(
    urls: Sequence[str],
    out: AnyPlace,
    *,
    sha256: str | None = None,
    size: int | None = None,
    on_progress: OnProgress | None = None,
) -> AnyPlace:
    """Download a zip to *out*, or resume an interrupted download.

    The file gets its final name only when it is complete, a zip, and verified. An existing file from one of the
    same URLs or with the right digest is not downloaded again. One that we downloaded and that has another
    digest or size than requested is replaced once its replacement is complete. A file that we did not download
    is left alone. Give a digest if there is one: without it, a file that changes on the server between two
    parts of a download goes unnoticed.

    If *out* is in a store, the zip is downloaded into the state folder first, and removed there once it is stored.

    A setting selects the aria2 daemon (`etl.settings`): a running one that shares our file system, or one that
    we start.

    Args:
        urls: mirrors of one file; each serves a part of the bytes.
        out: the folder, or a prefix in a store.
        sha256: the file's digest in hex; checked if given.
        size: the file's size in bytes; another length is refused as soon as the server reports it.
        on_progress: called some times per second.

    Returns:
        The file's path or URI.

    Raises:
        UserError: with one sentence per cause.
    """
    filename = _check(urls, sha256)
    report = on_progress or (lambda _: None)
    if isinstance(out, Path):
        return cast("AnyPlace", _to_folder(urls, out, filename, sha256, size, report))
    return cast("AnyPlace", _to_store(urls, out, filename, sha256, size, report))


def _to_folder(
    urls: Sequence[str], out: Path, filename: str, sha256: str | None, size: int | None, report: OnProgress
) -> Path:
    settings = read_settings(Aria2Settings)
    with open_download(out, filename) as files:
        if files.is_complete(urls, sha256, size):
            return files.final
        files.prepare(urls, sha256)
        with open_aria2(settings, files.lock) as aria2:
            _fetch(aria2, urls, files, sha256, size, report)
        _check_zip(files, urls)
        _check_size(files.part.stat().st_size, size, urls)
        return files.publish()


def _to_store(
    urls: Sequence[str], out: str, filename: str, sha256: str | None, size: int | None, report: OnProgress
) -> str:
    store, note, where = open_store(out), f"{filename}.source.json", f"{out}/{filename}"
    known = DownloadSource.parse(read_object(store, note))
    if known is None and store.exists(filename):
        raise UserError(
            f"{where} exists and was not fetched from these URLs; move it away, or give another prefix with --out."
        )
    if known and known.sha256 and known.fits(urls, sha256, size) and store.exists(filename, known.sha256):
        return where
    folder = Settings().state_dir / "downloads"
    path = _to_folder(urls, folder, filename, sha256, size, report)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    # The note comes first. If this is killed in between, the next run knows the object as its own.
    source = DownloadSource.of(urls, digest).model_copy(update={"bytes": path.stat().st_size})
    put_document(store, note, source)
    store.put(filename, path, sha256=digest)
    with open_download(folder, filename) as files:
        files.remove()
    return where


def _check(urls: Sequence[str], sha256: str | None) -> str:
    """Return the file's name."""
    if not urls:
        raise UserError("No URL was given; give at least one address of the corpus zip.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f"{sha256!r} is not a SHA-256 digest; give 64 hexadecimal digits.")
    for url in urls:
        if not _can_be_fetched(url):
            raise UserError(
                f"{redact_url(url)!r} is not an address that can be fetched; give a http, https or ftp URL."
            )
    # The last segment of the path, without anything that could lead out of the folder.
    path = urlsplit(urls[0]).path.rsplit("/", 1)[-1].partition(";")[0]
    filename = re.sub(r"[^\w.-]", "_", unquote(path).rsplit("/", 1)[-1]).lstrip(".")
    return filename or "corpus.zip"


def _can_be_fetched(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https", "ftp"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port, half an IPv6 address
        return False


def _check_size(found: int, size: int | None, urls: Sequence[str]) -> None:
    if size not in {None, found}:
        raise UserError(
            f"{name(urls)} has {found} bytes, not the requested {size}; check the size, or give another mirror."
        )


def _check_zip(files: DownloadFiles, urls: Sequence[str]) -> None:
    """Make sure that the complete partial file is a zip; remove anything else."""
    try:
        check_zip(files.part, name(urls))
    except UserError:
        files.discard()
        raise


def _fetch(
    aria2: Aria2,
    urls: Sequence[str],
    files: DownloadFiles,
    sha256: str | None,
    size: int | None,
    report: OnProgress,
) -> None:
    """Download into the partial file. Retry a server that fails midway or asks clients to wait."""
    tries, furthest, answered, connections = 0, 0, False, CONNECTIONS
    while True:
        with aria2.download(urls, files.part.resolve(), sha256, connections) as read_status:
            status = _follow(read_status, files, size, urls, report)
        if status.state == "complete":
            return
        if status.code == BAD_DIGEST:
            _check_zip(files, urls)  # an error about a web page explains more than one about the digest
            files.discard()
        answered = answered or status.total > 0
        if status.done > furthest:
            tries, furthest = 0, status.done
        throttled = is_throttled(status)
        most = len(PAUSES) if answered else FIRST_RETRIES if throttled else 0
        if status.code not in TRANSIENT or tries >= most:
            raise UserError(explain(status, urls, files.part.parent, sha256))
        pause = PAUSES[tries]
        tries += 1
        if throttled:
            connections = max(1, connections // 2)
            pause = max(pause, _requested_wait(urls))
        if status.code == NO_RANGES:
            files.discard()  # this server sends only whole files
            files.prepare(urls, sha256)
        time.sleep(pause)


def _requested_wait(urls: Sequence[str]) -> float:
    """Return the seconds that a server asks clients to wait, which aria2 does not report.

    Raises:
        UserError: the wait is longer than `MAX_RETRY_AFTER`.
    """
    wait = max(map(fetch_retry_after, urls))
    if wait > MAX_RETRY_AFTER:
        raise UserError(f"The server at {name(urls)} asks clients to wait {wait:.0f} s; try again after that.")
    return wait


def _follow(
    read_status: Callable[[], DownloadStatus],
    files: DownloadFiles,
    size: int | None,
    urls: Sequence[str],
    report: OnProgress,
) -> DownloadStatus:
    """Report progress until the download ends, and check its size and the disk space."""
    while True:
        status = read_status()
        report(Progress(status.done, status.total, status.speed))
        if status.has_ended:
            return status
        if status.total:
            _check_size(status.total, size, urls)
            files.check_disk_space(status.total, status.done)
        time.sleep(_POLL)
