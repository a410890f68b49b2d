"""Table of URLs and captions, divided into parts that img2dataset downloads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from etl.readers.base import ReaderOptions, SkippedPost, SkipReason
from etl.readers.captions import CAPTION_KEYS, caption_in, group_in
from etl.readers.names import SeenNames
from etl.readers.rows import FAULTS, SUFFIXES, rows
from snap2caption.errors import UserError

PART = 1000
"""Rows of a part, which is downloaded again as a whole if it was killed."""

URL = "url"
"""Usual name of the column of URLs."""

GROUP = "post_group"
"""A part's column of groups. It is none of img2dataset's own."""


def is_table(path: Path) -> bool:
    """Return whether *path* is a table by its name, and not a folder or zip."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


@dataclass(frozen=True, slots=True)
class UrlRow:
    """A photo to download, and its caption."""

    url: str
    caption: str
    group: str | None


def read_table(table: Path, options: ReaderOptions, seen: SeenNames) -> Iterator[UrlRow | SkippedPost]:
    """Yield the rows of *table* in their order; each URL counts once.

    Raises:
        UserError: it can't be read, or has not the columns that are needed.
    """
    try:
        with table.open("rb") as stream:
            for number, row in enumerate(rows(table.name, stream)):
                yield _row(f"{table.name}#{number}", row, options, seen)
    except FAULTS as error:
        raise UserError(f"{table} can't be read ({error}); correct it, then try again.") from error
    except OSError as error:
        raise UserError(f"{table} can't be read ({error.strerror}); check its permissions and the disk.") from error
    _require(table, options, "URLs", "--url-column", (options.url or URL,))
    _require(table, options, "captions", "--caption-column", (options.caption,) if options.caption else CAPTION_KEYS)
    if options.group:
        _require(table, options, "groups", "--group-column", (options.group,))


def normalize_url(text: object) -> str | None:
    """Return the URL as it is requested, without its fragment; None if it is none of http or https, or has a password."""
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError):
        return None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
        return None
    return str(url).partition("#")[0]


def _row(name: str, row: Mapping[str, object], options: ReaderOptions, seen: SeenNames) -> UrlRow | SkippedPost:
    options.see(row)
    url = normalize_url(row.get(options.url or URL))
    if url is None:
        return SkippedPost(name, SkipReason.INVALID_URL)
    caption = caption_in(row, options)
    if caption is None:
        return SkippedPost(url, SkipReason.MISSING_CAPTION)
    if not seen.add(url):
        return SkippedPost(url, SkipReason.DUPLICATE)
    return UrlRow(url, caption, group_in(row, options))


def _require(table: Path, options: ReaderOptions, what: str, option: str, names: tuple[str, ...]) -> None:
    if options.seen.isdisjoint(names):
        there = ", ".join(sorted(map(str, options.seen))[:20]) or "none"
        raise UserError(f"{table} has no column {' or '.join(names)} for {what}; give {option} one of: {there}.")
