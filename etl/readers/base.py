"""Reader interface: a source of posts, and what a reader yields."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from etl.readers.file_tree import FileTree


class SkipReason(StrEnum):
    """Reason why a reader yields no post for something that looks like one."""

    MISSING_CAPTION = "missing_caption"
    MISSING_IMAGE = "missing_image"
    UNREADABLE_CAPTION = "unreadable_caption"
    UNSUPPORTED_IMAGE = "unsupported_image"
    UNREADABLE_IMAGE = "unreadable_image"
    """A HEIC or AVIF photo that can't be decoded, which it has to be, as the corpus holds no such files."""
    OVERSIZED = "oversized"
    VIDEO = "video"
    DUPLICATE = "duplicate"
    """The source names the photo more than once."""
    INVALID_URL = "invalid_url"
    """No URL, or another one than of http and https, or one with a password."""
    OPTED_OUT = "opted_out"
    """The site forbids it by ``X-Robots-Tag``."""
    NOT_FOUND = "not_found"
    """Status 404 or 410."""
    REFUSED = "refused"
    """Another status from 400 to 499, such as 403 or 429."""
    SERVER_ERROR = "server_error"
    """Status 500 or higher."""
    TOO_SLOW = "too_slow"
    UNREACHABLE = "unreachable"
    """No such host, no connection, a connection that broke off, or an answer that is not HTTP."""
    PRIVATE_ADDRESS = "private_address"
    """The URL, or where it was redirected to, is in a network that is not public."""


@dataclass(frozen=True, slots=True)
class SourcePost:
    """A photo and its caption, as the source has them. Nothing of it has been cleaned or decoded."""

    name: str
    """Unique in the source, such as the photo's path."""
    photo: bytes
    caption: str
    group: str | None = None
    """What splits, sampling and scores are broken down by, such as a city. None: the source has no groups."""


@dataclass(frozen=True, slots=True)
class SkippedPost:
    """Something that a reader can't turn into a post."""

    name: str
    reason: SkipReason


MAX_COLUMNS = 1000
"""More names than that are no table's columns, but keys of JSON documents that differ from each other."""


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """Names of the columns (or JSON keys) that hold the caption and the group. None: the usual names, and no group."""

    caption: str | None = None
    group: str | None = None
    url: str | None = None
    """Name of a table's column of URLs. None: ``url``."""
    seen: set[str] = field(default_factory=set, compare=False, repr=False)
    """Names of the columns that rows have had so far, of which `MAX_COLUMNS` are kept."""

    def see(self, row: Mapping[str, object]) -> None:
        """Keep the names of the row's columns."""
        if not self.seen.issuperset(row):
            self.seen.update(itertools.islice(row, max(0, MAX_COLUMNS - len(self.seen))))
            # The ones that were asked for are kept in any case.
            self.seen.update(name for name in (self.caption, self.group, self.url) if name is not None and name in row)


class Reader(Protocol):
    """Reader of one layout."""

    name: str
    """Name of the layout, for messages and ``--reader``."""

    def detect(self, tree: FileTree) -> bool:
        """Return whether *tree* has this layout."""
        ...

    def read(self, tree: FileTree, options: ReaderOptions) -> Iterator[SourcePost | SkippedPost]:
        """Yield the posts of *tree* in a fixed order.

        Raises:
            UserError: an index of the layout can't be read.
        """
        ...
