"""Members of a corpus zip, in the layout of InstaCities1M: their names, and a reproducible way to write them."""

import stat
import zipfile
from typing import NamedTuple

ROOT = "InstaCities1M"


class CorpusMember(NamedTuple):
    """A member to be written; a symbolic link's data is its target."""

    name: str
    data: bytes
    symlink: bool = False


def image_member(folder: str, identifier: str, data: bytes, suffix: str = "jpg") -> CorpusMember:
    """Return the member of a picture, whose format is *suffix*."""
    return CorpusMember(f"{ROOT}/img_resized_1M/cities_instagram/{folder}/{identifier}.{suffix}", data)


def caption_member(folder: str, identifier: str, data: bytes) -> CorpusMember:
    """Return the member of a caption."""
    return CorpusMember(f"{ROOT}/captions_resized_1M/cities_instagram/{folder}/{identifier}.txt", data)


def write_member(archive: zipfile.ZipFile, member: CorpusMember) -> None:
    """Add *member* to *archive*: pictures stored, as they don't shrink, and texts deflated."""
    info = zipfile.ZipInfo(member.name)  # its date is the format's first day, whatever today is
    info.create_system = 3  # Unix, whatever machine this is: the mode below is Unix's
    info.external_attr = ((stat.S_IFLNK if member.symlink else stat.S_IFREG) | 0o644) << 16
    info.compress_type = zipfile.ZIP_DEFLATED if member.name.endswith(".txt") else zipfile.ZIP_STORED
    archive.writestr(info, member.data)
