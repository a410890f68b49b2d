"""Download errors of aria2, as sentences that say what to do next."""

from collections.abc import Sequence
from pathlib import Path

from etl.aria2 import DownloadStatus

# aria2's exit statuses (its manual, "EXIT STATUS").
UNREACHABLE, SILENT, NOT_FOUND, NETWORK, NO_RANGES, DISK_FULL = "1", "2", "3", "6", "8", "9"
UNRESOLVED, REFUSED, LOGIN, BUSY, BAD_DIGEST = "19", "22", "24", "29", "32"
_UNWRITABLE = ("15", "16", "17", "18")

TRANSIENT = frozenset({UNREACHABLE, SILENT, NETWORK, NO_RANGES, UNRESOLVED, REFUSED, BUSY})
"""Statuses of a restarting server or a temporary network outage."""

_SENTENCES = {
    UNREACHABLE: "The server at {url} can't be reached ({message}); check the address and the network, then try again",
    SILENT: "The server at {url} did not answer in time; try again, or give another mirror",
    NOT_FOUND: "The server has no file at {url} (404); check the URL",
    NETWORK: "The network failed while fetching {url}; try again",
    NO_RANGES: "The server at {url} broke off, and can't resume a download; try again, or give another mirror",
    DISK_FULL: "The disk is full; free some space under {out}, then try again",
    UNRESOLVED: "The name of the host in {url} can't be resolved; check the URL",
    REFUSED: "The server refused {url} ({message}); check the URL and that you may fetch it",
    LOGIN: "The server wants a login for {url}; put it into ~/.netrc, or give a URL that needs none",
    BUSY: "The server at {url} is out of service for now ({message}); try again later, or give another mirror",
    BAD_DIGEST: (
        "What {url} sent does not have the digest {sha256}; check the digest, or give another mirror. "
        "The bad file was removed"
    ),
} | dict.fromkeys(_UNWRITABLE, "{out} can't be written to ({message}); give a folder that aria2 may write to")


def is_throttled(status: DownloadStatus) -> bool:
    """Whether the server asks clients to wait before the next request."""
    return status.code == BUSY or (status.code == REFUSED and "429" in status.message)


def name(urls: Sequence[str]) -> str:
    """Return a short name for *urls* in a sentence."""
    return urls[0] if len(urls) == 1 else f"{urls[0]} or one of its {len(urls) - 1} mirrors"


def explain(status: DownloadStatus, urls: Sequence[str], out: Path, sha256: str | None) -> str:
    """Return the error sentence for a download of *urls* into the folder *out* that ended with *status*."""
    url = name(urls)
    message = status.message.rstrip(".")
    if status.state == "removed":
        return f"Somebody removed {url} from the aria2 daemon's list; try again, the download resumes where it stopped."
    if is_throttled(status):
        return _SENTENCES[BUSY].format(url=url, message=message) + "."
    sentence = _SENTENCES.get(status.code, "aria2 failed on {url} (status {code}: {message}); try again")
    return sentence.format(url=url, out=out, sha256=sha256, code=status.code, message=message) + "."
