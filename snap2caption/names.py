"""Names that become part of a path or of an object's key, as types: whatever is parsed with them leads nowhere else.

A manifest, a registry's tags, a record in the store and a sidecar come from places that others can write to. So what of them names a file is
checked where it is read, not where it is used.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_MOST = 128
_MOST_BYTES = 200
"""File systems allow 255 bytes for a name, and some of ours get an ending."""

_PORTABLE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]*")
"""POSIX's portable file name characters (IEEE 1003.1, 3.265). ASCII has one spelling on every file system."""

_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""What Windows takes for a device, whatever folder it is said to be in."""

_UNPRINTABLE = re.compile(r"[/\\\x00-\x1f\x7f]")


def is_file_name(text: str) -> bool:
    """Whether *text* is a file's name on every system: portable characters, no device, neither hidden nor an option."""
    return (
        len(text) <= _MOST
        and _PORTABLE.fullmatch(text) is not None
        and not text.endswith(".")
        and _DEVICES.fullmatch(text) is None
    )


def is_base_name(text: str) -> bool:
    """Whether *text* names a base model: a folder's name, or owner and name on the hub."""
    owner, _, name = text.rpartition("/")
    return is_file_name(name) and ((owner == "" and "/" not in text) or is_file_name(owner))


def is_version(text: str) -> bool:
    """Whether *text* is what a dataset version is called."""
    return re.fullmatch(r"[0-9a-f]{12,64}", text) is not None


def is_part(text: str) -> bool:
    """Whether *text*, in any script, can be a part of a path with an ending after it, as cities and the ids of samples are."""
    return (
        text != ""
        and not text.startswith(".")
        and _UNPRINTABLE.search(text) is None
        and len(text.encode(errors="replace")) <= _MOST_BYTES
    )


def is_digest(text: str) -> bool:
    """Whether *text* is a SHA-256 in hex."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def is_feedback_id(text: str) -> bool:
    """Whether *text* is of the form of a feedback's id."""
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def _file_name(text: str) -> str:
    if not is_file_name(text):
        raise ValueError("should be a plain file name of letters, digits, dots, hyphens and underscores")
    return text


def _version(text: str) -> str:
    if not is_version(text):
        raise ValueError("should be a version's name of 12 to 64 hexadecimal digits")
    return text


def _base_name(text: str) -> str:
    if not is_base_name(text):
        raise ValueError("should be the name of a folder, or owner/name on the model hub")
    return text


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hex."""

FeedbackId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

Version = Annotated[str, AfterValidator(_version)]
"""What a dataset version is called: the beginning of a digest."""

FileName = Annotated[str, AfterValidator(_file_name)]
"""A file's name; also a run's id and a revision, which name folders."""

BaseName = Annotated[str, AfterValidator(_base_name)]
"""A base model's name: of a folder under the models directory, or on the hub."""
