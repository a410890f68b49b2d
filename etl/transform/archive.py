"""The corpus zip: which members belong together, and which must not be touched."""

import re
import stat
import zipfile
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from etl.transform.member import Member
from etl.transform.reasons import Reason
from snap2caption.errors import UserError

MAX_CAPTION_BYTES = 64 * 1024
MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_RATIO = 200
"""Compressed this much, a member is a bomb: JPEG does not compress, captions do by 2 to 5."""

# No leading dot in a file's name: macOS puts a `._<name>` with its own data beside each file.
_MEMBER = re.compile(
    r"(?:^|/)(captions|img)_resized_1M/cities_instagram/([^/]+)/([^/.][^/]*)\.(?:txt|jpe?g)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A photo with its caption, as members of the archive."""

    id: str
    city: str
    image: Member
    caption: Member


@dataclass(slots=True)
class _Found:
    """What the archive has of one post."""

    image: Member | None = None
    caption: Member | None = None
    reason: Reason | None = None


def normalise_city(folder: str) -> str:
    """Return a city's folder name as the dataset spells it: lower case, letters and digits only."""
    return re.sub(r"[\W_]", "", folder.casefold())


def pair_members(corpus: Path, cities: Collection[str], dropped: Counter[str]) -> list[Pair]:
    """Pair each photo with its caption, in the order of their ids; count what can't be used in *dropped*.

    An id stands for one post: where it comes twice, the first counts, in the order of cities and then of the archive.

    Raises:
        UserError: there is no corpus, or it is no zip, or cut off.
    """
    pairs: dict[str, Pair] = {}
    for (city, id_), found in sorted(_read(corpus, dropped).items()):
        if city not in cities:
            reason: Reason | None = Reason.CITY_NOT_SELECTED
        elif found.reason in {Reason.ENCRYPTED, Reason.OVERSIZED}:
            reason = found.reason
        elif found.caption is None:
            reason = Reason.MISSING_CAPTION
        elif found.image is None:
            reason = Reason.MISSING_IMAGE
        elif id_ in pairs:
            reason = Reason.DUPLICATE
        else:
            pairs[id_] = Pair(id_, city, found.image, found.caption)
            reason = found.reason  # a second copy beside a good pair
        if reason is not None:
            dropped[reason] += 1
    return [pairs[id_] for id_ in sorted(pairs)]


def _read(corpus: Path, dropped: Counter[str]) -> dict[tuple[str, str], _Found]:
    """Return what the archive has of each post, by city and id; unsafe members are counted, whatever they are."""
    posts: dict[tuple[str, str], _Found] = {}
    cities: dict[str, str] = {}
    with open_archive(corpus) as archive:
        for info in archive.infolist():
            if _escapes(info):
                dropped[Reason.UNSAFE_PATH] += 1
                continue
            match = _MEMBER.search(info.filename)
            if match is None:
                continue
            kind, folder, id_ = match.groups()
            city = cities.setdefault(folder, normalise_city(folder))
            found = posts.setdefault((city, id_), _Found())
            is_caption = kind.lower() == "captions"
            if (reason := _refusal(info, is_caption=is_caption)) is not None:
                found.reason = reason
            elif (found.caption if is_caption else found.image) is not None:
                found.reason = found.reason or Reason.DUPLICATE
            elif is_caption:
                found.caption = Member.of(info)
            else:
                found.image = Member.of(info)
    return posts


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open the corpus.

    Raises:
        UserError: it is not there, or no zip, or cut off.
    """
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise UserError(
            f"There is no corpus at {path} ({error.strerror}); fetch it with `snap2caption extract`."
        ) from error
    except zipfile.BadZipFile as error:
        raise UserError(f"{path} is not a zip, or cut off; fetch it again with `snap2caption extract`.") from error


def _escapes(info: zipfile.ZipInfo) -> bool:
    name = info.filename
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    return is_link or name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name.split("/")[0]


def _refusal(info: zipfile.ZipInfo, *, is_caption: bool) -> Reason | None:
    if info.flag_bits & 1:
        return Reason.ENCRYPTED
    limit = MAX_CAPTION_BYTES if is_caption else MAX_IMAGE_BYTES
    if info.file_size > limit or info.file_size > MAX_RATIO * max(1, info.compress_size):
        return Reason.OVERSIZED
    return None
