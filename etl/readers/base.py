"""Reader interface: a source of posts, and what a reader yields."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from etl.readers.file_tree import FileTree


class SkipReason(StrEnum):
    """Reason why a reader yields no post for something that looks like one."""

    MISSING_CAPTION = "missing_caption"
    MISSING_IMAGE = "missing_image"
    UNREADABLE_CAPTION = "unreadable_caption"
    UNSUPPORTED_IMAGE = "unsupported_image"
    OVERSIZED = "oversized"
    VIDEO = "video"
    DUPLICATE = "duplicate"
    """The source names the photo more than once."""


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


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """Names of the columns (or JSON keys) that hold the caption and the group. None: the usual names, and no group."""

    caption: str | None = None
    group: str | None = None


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
