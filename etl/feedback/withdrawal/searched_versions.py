"""Searched versions: which dataset versions were searched for erased feedback on this machine, and what they hold.

So a run opens only versions that are new or changed, unless feedback was erased that one of them learned from. The
record is of this machine, since shards that were downloaded here are dropped here. It holds ids alone, and may be
deleted at any time.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from etl.transform.atomic_files import atomic_write
from snap2caption.formats.documents import StrictDocument
from snap2caption.names import Digest, FeedbackId
from snap2caption.store import ObjectInfo

SEARCHED = "searched-versions.json"


class SearchedVersion(StrictDocument):
    """A version as it was when it was searched."""

    tag: Digest
    """Of its listing: see `tag_of`."""
    withdrawn: bool


class SearchedVersions(StrictDocument):
    """The versions that were searched, with the places that this is about."""

    places: tuple[str, ...]
    versions: Mapping[str, SearchedVersion] = {}
    learned: tuple[FeedbackId, ...] = ()
    """The feedback in all versions that are not withdrawn."""


def read_searched(folder: Path, places: tuple[str, ...]) -> SearchedVersions:
    """Return what was searched for *places*; nothing if there is no record of them."""
    nothing = SearchedVersions(places=places)
    try:
        found = SearchedVersions.model_validate_json((folder / SEARCHED).read_bytes())
    except (FileNotFoundError, ValidationError):
        return nothing
    return found if found.places == places else nothing


def write_searched(folder: Path, searched: SearchedVersions) -> None:
    """Replace the record."""
    with atomic_write(folder / SEARCHED) as draft:
        draft.write_text(searched.model_dump_json(), encoding="utf-8")


def tag_of(files: Mapping[str, ObjectInfo]) -> str:
    """Return a digest of a version's listing, which changes with any of its files."""
    lines = (f"{name} {info.tag} {info.size}" for name, info in sorted(files.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
