"""Extract: fetch the corpus zip with aria2, over many connections and from several mirrors."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from etl.aria2 import CONNECTIONS, Aria2, DownloadStatus, open_aria2
from etl.aria2_errors import BAD_DIGEST, MAY_PASS, NO_RANGES, explain, is_throttled, name
from etl.download_files import DownloadFiles, open_landing
from etl.payload import check_zip
from etl.retry_after import asked_wait
from etl.settings import Aria2Settings
from snap2caption.errors import UserError
from snap2caption.redaction import redact_url
from snap2caption.settings import read_settings

_POLL = 0.25

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each new try after a server that has sent something went away; they begin anew when it sends more."""

FIRST_TRIES = 3
"""How often a server that has sent nothing yet, but 429 or 503, is tried again."""

LONGEST_WAIT = 300.0
"""Seconds of a Retry-After that are waited for; a server that asks for more is left to the person."""


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
    urls: Sequence[str],
    out: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Download a zip into the folder *out*, or go on with a download that was cut off.

    The file has its final name only when it is complete, a zip, and verified. One that is there already, fetched from one of the same URLs
    or with the right digest, is not fetched again; one that we fetched and that has another digest or size than asked for is replaced when the
    other one has come whole; one that we did not fetch is left alone. Give a digest where there is one: without, a file that changes on the
    server between two halves of a download is not noticed.

    Which aria2 daemon downloads is a setting (`etl.settings`): one that runs already, and shares our file system, or one of our own.

    Args:
        urls: mirrors of one file; each gives a part of the bytes.
        out: the folder.
        sha256: the file's digest in hex; checked if given.
        size: the file's bytes; another length is refused as soon as the server tells it.
        on_progress: told some times a second.

    Returns:
        The file's path.

    Raises:
        UserError: with one sentence for each cause.
    """
    filename = _check(urls, sha256)
    settings = read_settings(Aria2Settings)
    with open_landing(out, filename) as landing:
        if landing.is_there(urls, sha256, size):
            return landing.final
        landing.prepare(urls, sha256)
        with open_aria2(settings, landing.lock) as aria2:
            _fetch(aria2, urls, landing, sha256, size, on_progress or (lambda _: None))
        _check_zip(landing, urls)
        _check_size(landing.part.stat().st_size, size, urls)
        return landing.publish()


def _check(urls: Sequence[str], sha256: str | None) -> str:
    """Return the name of the file."""
    if not urls:
        raise UserError("No URL was given; give at least one address of the corpus zip.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UserError(f"{sha256!r} is not a SHA-256 digest; give 64 hexadecimal digits.")
    for url in urls:
        if not _can_be_fetched(url):
            raise UserError(
                f"{redact_url(url)!r} is not an address that can be fetched; give a http, https or ftp URL."
            )
    # The last part of the path, and nothing in it that could lead out of the folder.
    path = urlsplit(urls[0]).path.rsplit("/", 1)[-1].partition(";")[0]
    filename = re.sub(r"[^\w.-]", "_", unquote(path).rsplit("/", 1)[-1]).lstrip(".")
    return filename or "corpus.zip"


def _can_be_fetched(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https", "ftp"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        return False


def _check_size(found: int, size: int | None, urls: Sequence[str]) -> None:
    if size not in {None, found}:
        raise UserError(
            f"{name(urls)} has {found} bytes, not {size} as asked for; check the size, or give another mirror."
        )


def _check_zip(landing: DownloadFiles, urls: Sequence[str]) -> None:
    """Make sure that the complete part is a zip; of anything else nothing remains."""
    try:
        check_zip(landing.part, name(urls))
    except UserError:
        landing.forget()
        raise


def _fetch(
    aria2: Aria2,
    urls: Sequence[str],
    landing: DownloadFiles,
    sha256: str | None,
    size: int | None,
    report: Callable[[Progress], None],
) -> None:
    """Download into the part. A server that goes away in the middle, or asks for patience, is given time."""
    tries, furthest, answered, connections = 0, 0, False, CONNECTIONS
    while True:
        with aria2.download(urls, landing.part.resolve(), sha256, connections) as ask:
            status = _follow(ask, landing, size, urls, report)
        if status.word == "complete":
            return
        if status.code == BAD_DIGEST:
            _check_zip(landing, urls)  # a web page in place of the file says more than its digest
            landing.forget()
        answered = answered or status.total > 0
        if status.done > furthest:
            tries, furthest = 0, status.done
        throttled = is_throttled(status)
        most = len(PAUSES) if answered else FIRST_TRIES if throttled else 0
        if status.code not in MAY_PASS or tries >= most:
            raise UserError(explain(status, urls, landing.part.parent, sha256))
        pause = PAUSES[tries]
        tries += 1
        if throttled:
            connections = max(1, connections // 2)
            pause = max(pause, _asked_wait(urls))
        if status.code == NO_RANGES:
            landing.forget()  # only the whole file can be had of this server
            landing.prepare(urls, sha256)
        time.sleep(pause)


def _asked_wait(urls: Sequence[str]) -> float:
    """Return how many seconds a server asks to be left alone; aria2 does not tell.

    Raises:
        UserError: longer than anybody would wait for.
    """
    asked = max(map(asked_wait, urls))
    if asked > LONGEST_WAIT:
        raise UserError(f"The server at {name(urls)} asks to be left alone for {asked:.0f} s; try again after that.")
    return asked


def _follow(
    ask: Callable[[], DownloadStatus],
    landing: DownloadFiles,
    size: int | None,
    urls: Sequence[str],
    report: Callable[[Progress], None],
) -> DownloadStatus:
    """Report until the download has ended, and see to it that the file is the right one, and has room."""
    while True:
        status = ask()
        report(Progress(status.done, status.total, status.speed))
        if status.has_ended:
            return status
        if status.total:
            _check_size(status.total, size, urls)
            landing.check_room(status.total, status.done)
        time.sleep(_POLL)
