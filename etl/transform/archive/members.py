"""Members of the corpus zip: which photo or caption a member is, and which members are refused."""

import functools
import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from etl.place import Place
from etl.transform.archive.central_directory import CentralDirectory, DirectoryEntry
from etl.transform.archive.corpus import open_corpus_stream
from etl.transform.archive.member_reader import METHODS
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.errors import UserError

MAX_CAPTION_BYTES = 64 * 1024
MAX_IMAGE_BYTES = 32 * 1024 * 1024
MAX_RATIO = 200
"""A large member that is compressed more than this is a zip bomb: JPEG does not compress, captions do by 2 to 5."""
HARMLESS_CAPTION_BYTES, HARMLESS_IMAGE_BYTES = 16 * 1024, 2 * 1024 * 1024
"""Members up to these sizes are harmless at any compression ratio.

They cover the longest caption that Instagram accepts, made of a single emoji, and a one-color picture of the
most pixels that are accepted.
"""

# A photo and its caption lie in folders with their city's name, in one folder or two, at any depth. Exports
# have a folder of photos and one of captions below the city's. File names have no leading dot: macOS puts a
# `._<name>` with its own data next to each file. No file system has names over 255 bytes.
_MEMBER = re.compile(
    r"(?:^|/)([^/]{1,255})/(?:(?:captions|img)_resized_1M/)?([^/.][^/]{0,254})\.(?:(txt)|jpe?g|jpe|jfif|png|webp)$",
    re.IGNORECASE,
)

_COMPRESSIONS = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
"""Names of some unsupported methods (APPNOTE.TXT, 4.4.5)."""


class MemberKind(StrEnum):
    """Part of a post that a member holds."""

    IMAGE = "image"
    CAPTION = "caption"


class ListedMember(NamedTuple):
    """A member as the plan needs it: its post and its location, or why it is refused."""

    number: int
    """Position in the archive's directory."""
    kind: MemberKind | None
    """None: neither a photo nor a caption. It is listed because other members must not overlap it."""
    city: str | None
    id: str | None
    reason: RejectionReason | None
    start: int
    """Offset of the local header."""
    stop: int
    """End of the data, or later."""
    compressed: int
    size: int
    method: int
    crc: int


def list_members(corpus: Place) -> Iterator[ListedMember]:
    """Yield the members of the archive in the directory's order, in bounded memory.

    Raises:
        UserError: the corpus does not exist, is not a zip, or is cut off or damaged.
    """
    with open_corpus_stream(corpus) as stream:
        directory = CentralDirectory(corpus, stream)
        for number, entry in enumerate(directory.entries()):
            yield _judge(number, entry, directory.start)


def no_usable_samples_error(corpus: Place, cities: Sequence[str], dropped: Mapping[str, int]) -> UserError:
    """Return the error for a corpus without usable samples, with the reasons and advice.

    Raises:
        UserError: the corpus is gone, or is no longer a zip.
    """
    if not dropped:
        other = next((entry.name for entry in _entries(corpus) if entry.name and not entry.name.endswith("/")), None)
        what = f"has files such as {other!r}, but no photos with captions" if other else "is empty"
        return UserError(f"{corpus} {what}; pack it as <city>/<id>.jpg and <city>/<id>.txt, in any folders.")
    why = ", ".join(f"{reason} {count}" for reason, count in sorted(dropped.items()))
    advice = "check the cities and the zip"
    if RejectionReason.UNSUPPORTED_COMPRESSION in dropped:
        methods = {entry.method for entry in _entries(corpus)} - METHODS
        names = ", ".join(_COMPRESSIONS.get(method, f"method {method}") for method in sorted(methods))
        advice = f"pack it again without {names}: supported are deflate, bzip2, LZMA, and no compression"
    elif RejectionReason.ENCRYPTED in dropped:
        advice = "pack it again without a password"
    return UserError(f"Nothing in {corpus} can be used for {', '.join(cities)} ({why}); {advice}.")


def _entries(corpus: Place) -> Iterator[DirectoryEntry]:
    with open_corpus_stream(corpus) as stream:
        yield from CentralDirectory(corpus, stream).entries()


@functools.lru_cache(maxsize=1024)
def normalize_city(folder: str) -> str:
    """Return a city's folder name as the dataset spells it: lower case, letters and digits only."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFC", folder).casefold())


def _judge(number: int, entry: DirectoryEntry, limit: int) -> ListedMember:
    """Return the entry as a member. Members must end before *limit*."""
    name = None if entry.name is None else _normalize(entry.name)
    if name is None or _escapes(name, entry.mode):
        return _refused(number, entry, limit, RejectionReason.UNSAFE_PATH)
    match = _MEMBER.search(name)
    if match is None:
        return _refused(number, entry, limit, None)
    kind = MemberKind.CAPTION if match[3] else MemberKind.IMAGE
    city, id_ = normalize_city(match[1]), match[2]
    if (reason := _refusal(entry, kind, limit)) is not None:
        return _refused(number, entry, limit, reason)._replace(kind=kind, city=city, id=id_)
    return ListedMember(
        number, kind, city, id_, None, entry.offset, entry.end, entry.compressed, entry.size, entry.method, entry.crc
    )


def _refused(number: int, entry: DirectoryEntry, limit: int, reason: RejectionReason | None) -> ListedMember:
    # Its location still counts, as other members must not overlap it. The numbers of a forged record may be too
    # large for a table.
    return ListedMember(number, None, None, None, reason, min(entry.offset, limit), min(entry.end, limit), 0, 0, 0, 0)


def _normalize(name: str) -> str:
    """Return the name in its usual form.

    Windows' own archiver (.NET before 4.6.1) writes backslashes, and macOS decomposes letters.
    """
    return name.replace("\\", "/") if name.isascii() else unicodedata.normalize("NFC", name.replace("\\", "/"))


def _escapes(name: str, mode: int) -> bool:
    return (
        stat.S_ISLNK(mode)
        or name.startswith("/")
        or "\0" in name
        or (".." in name and ".." in name.split("/"))
        or (":" in name and ":" in name.split("/", 1)[0])
    )


def _refusal(entry: DirectoryEntry, kind: MemberKind, limit: int) -> RejectionReason | None:
    if entry.encrypted:
        return RejectionReason.ENCRYPTED
    if entry.method not in METHODS:
        return RejectionReason.UNSUPPORTED_COMPRESSION
    largest, harmless = (
        (MAX_CAPTION_BYTES, HARMLESS_CAPTION_BYTES)
        if kind is MemberKind.CAPTION
        else (MAX_IMAGE_BYTES, HARMLESS_IMAGE_BYTES)
    )
    if entry.size > min(largest, max(harmless, MAX_RATIO * entry.compressed)):
        return RejectionReason.OVERSIZED
    return RejectionReason.OUT_OF_BOUNDS if entry.end > limit else None
