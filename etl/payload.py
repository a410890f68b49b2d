"""Payload check: whether a download is a zip, or something else that a server sent instead."""

from pathlib import Path

from etl.transform.archive.central_directory import CentralDirectory
from snap2caption.errors import UserError

_HEAD = 512

_PAGE = "open the URL in a browser, and give the address that the download itself comes from"
_OTHER = "check the URL, or give another mirror"

_BEGINNINGS = (
    (b"pk\x03\x04", "a zip without its end", "try again, or give another mirror"),
    (b"<!doctype html", "a web page", _PAGE),
    (b"<html", "a web page", _PAGE),
    (b"<?xml", "an XML document", _OTHER),
    (b"{", "a JSON document", _OTHER),
    (b"\x1f\x8b", "compressed with gzip, when it was packed or by the server", _OTHER),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "pack it as a zip"),
    (b"rar!", "a RAR archive", "pack it as a zip"),
)
"""How a file begins (in lower case), what it is, and what to do about it."""


def is_zip(file: Path) -> bool:
    """Whether *file* has a zip's central directory at its end."""
    try:
        with file.open("rb") as stream:
            CentralDirectory(file, stream)
    except UserError:
        return False
    return True


def check_zip(file: Path, url: str) -> None:
    """Make sure that *file*, downloaded from *url*, is a zip.

    Raises:
        UserError: it is something else, or is cut off.
    """
    if is_zip(file):
        return
    with file.open("rb") as stream:
        head = stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head:
        raise UserError(f"{url} sent an empty file; {_OTHER}.")
    for beginning, what, advice in _BEGINNINGS:
        if head.startswith(beginning):
            raise UserError(f"What {url} sent is not a zip but {what}; {advice}.")
    raise UserError(f"What {url} sent is not a zip; {_OTHER}.")
