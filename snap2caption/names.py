"""Validated name types for paths and object keys: a parsed name can't lead outside its folder.

Others can write to manifests, registry tags, stored records and sidecars. So every name of a file in them is
checked where it is read, not where it is used.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_MOST = 128
_MOST_BYTES = 200
"""File systems allow 255 bytes per name, and some of our names get a suffix."""

_PORTABLE = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]*")
"""POSIX's portable file name characters (IEEE 1003.1, 3.265). ASCII names are spelled the same way on every file
system.
"""

_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names that Windows treats as devices in every folder."""

_UNPRINTABLE = re.compile(r"[/\\\x00-\x1f\x7f]")


def is_file_name(text: str) -> bool:
    """Whether *text* is a valid file name on every system.

    It consists of portable characters, and is not a device, not hidden and not like a command-line option.
    """
    return (
        len(text) <= _MOST
        and _PORTABLE.fullmatch(text) is not None
        and not text.endswith(".")
        and _DEVICES.fullmatch(text) is None
    )


def is_base_name(text: str) -> bool:
    """Whether *text* names a base model: a folder, or owner/name on the model hub."""
    owner, _, name = text.rpartition("/")
    return is_file_name(name) and ((owner == "" and "/" not in text) or is_file_name(owner))


def is_version(text: str) -> bool:
    """Whether *text* is a valid dataset version: 12 to 64 hexadecimal digits."""
    return re.fullmatch(r"[0-9a-f]{12,64}", text) is not None


def is_part(text: str) -> bool:
    """Whether *text*, in any script, can be a path component followed by a suffix, like city names and sample ids."""
    return (
        text != ""
        and not text.startswith(".")
        and _UNPRINTABLE.search(text) is None
        and len(text.encode(errors="replace")) <= _MOST_BYTES
    )


def is_digest(text: str) -> bool:
    """Whether *text* is a SHA-256 digest in hex."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def is_feedback_id(text: str) -> bool:
    """Whether *text* has the form of a feedback id: 32 hexadecimal digits."""
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
"""A SHA-256 digest in hex."""

FeedbackId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

Version = Annotated[str, AfterValidator(_version)]
"""A dataset version: the beginning of a digest."""

FileName = Annotated[str, AfterValidator(_file_name)]
"""A file name. Run ids and revisions, which name folders, have the same form."""

BaseName = Annotated[str, AfterValidator(_base_name)]
"""The name of a base model: a folder under the models directory, or owner/name on the hub."""
