"""The corpus zip: which members belong together, and which must not be touched."""

import re
import stat
import zipfile
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from etl.transform.reasons import Reason
from snap2caption.errors import UserError

MAX_CAPTION_BYTES = 64 * 1024
MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_RATIO = 200
"""Compressed this much, a member is a bomb: JPEG does not compress, captions do by 2 to 5."""

_MEMBER = re.compile(
    r"(?:^|/)(captions|img)_resized_1M/cities_instagram/([^/]+)/([^/]+)\.(?:txt|jpe?g)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A photo with its caption, as members of the archive."""

    id: str
    city: str
    image: str
    caption: str


def normalise_city(folder: str) -> str:
    """Return a city's folder name as the dataset spells it: lower case, letters and digits only."""
    return re.sub(r"[\W_]", "", folder.casefold())


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open the corpus.

    Raises:
        UserError: it is not there, or no zip, or cut off.
    """
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise UserError(f"There is no corpus at {path}; fetch it with `snap2caption extract`.") from error
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is not a zip, or cut off; fetch it again with `snap2caption extract`.") from error


def pair_members(archive: zipfile.ZipFile, cities: Collection[str], dropped: Counter[str]) -> list[Pair]:
    """Pair each photo with its caption, in the order of their ids; count what can't be used in *dropped*.

    An id stands for one post: where it comes twice, the first one counts.
    """
    captions: dict[str, tuple[str, str]] = {}
    images: dict[str, tuple[str, str]] = {}
    for member in archive.infolist():
        reason = _refusal(member)
        if reason is not None:
            dropped[reason] += 1
            continue
        match = _MEMBER.search(member.filename)
        if match is None:
            continue
        kind, folder, id_ = match.groups()
        found = captions if kind.lower() == "captions" else images
        if id_ in found:
            dropped[Reason.DUPLICATE] += 1
        else:
            found[id_] = (normalise_city(folder), member.filename)
    pairs = []
    for id_ in sorted(captions.keys() | images.keys()):
        city, _ = captions.get(id_) or images[id_]
        if city not in cities:
            dropped[Reason.CITY_NOT_SELECTED] += 1
        elif id_ not in captions:
            dropped[Reason.MISSING_CAPTION] += 1
        elif id_ not in images:
            dropped[Reason.MISSING_IMAGE] += 1
        else:
            pairs.append(Pair(id_, city, images[id_][1], captions[id_][1]))
    return pairs


def _refusal(member: zipfile.ZipInfo) -> Reason | None:
    name = member.filename
    is_link = stat.S_ISLNK(member.external_attr >> 16)
    if name.startswith(("/", "\\")) or "\\" in name or ".." in name.split("/") or ":" in name.split("/")[0] or is_link:
        return Reason.UNSAFE_PATH
    if member.flag_bits & 1:
        return Reason.ENCRYPTED
    limit = MAX_CAPTION_BYTES if name.lower().endswith(".txt") else MAX_IMAGE_BYTES
    if member.file_size > limit or member.file_size > MAX_RATIO * max(1, member.compress_size):
        return Reason.OVERSIZED
    return None
