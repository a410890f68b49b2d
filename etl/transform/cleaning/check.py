"""Checking samples: read from the archive, clean, decode, hash."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from etl.transform.archive.member_reader import ArchiveMember, ArchivePair, DamagedError
from etl.transform.cleaning.caption import clean
from etl.transform.cleaning.metadata import StrippedPhoto, drop_metadata
from etl.transform.cleaning.picture import hash_pictures, look_at
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.text.segmentation import fold_words

_LOST = "\ufffd"
"""What some program before us put in place of what it could not decode. A model must not learn to write it."""

_TELLING_WORDS, _TELLING_BYTES = 3, 15

_BATCH_BYTES = 8 * 1024 * 1024
"""Of photos that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class CheckedSample:
    """A usable sample: its words, and what it is compared by."""

    caption: str
    hashtags: list[str]
    image_metadata: int
    """What the photo's file tells beside the picture (`etl.transform.cleaning.metadata.MetadataKind`)."""
    image_digest: bytes
    """Of what is kept of the file."""
    image_hash: bytes
    """The perceptual hashes, 65 bytes."""
    caption_digest: bytes | None
    """Of the caption's words, if they tell of one source."""


def check(
    archive: BinaryIO, pairs: Sequence[ArchivePair], *, keep_metadata: bool = False
) -> Iterator[CheckedSample | RejectionReason]:
    """Check pairs: yield each one's sample, or why it can't be used. *keep_metadata*: photos will be kept with theirs."""
    for batch in _batches(pairs):
        yield from _check_batch(archive, batch, keep_metadata)


def _batches(pairs: Sequence[ArchivePair]) -> Iterator[list[ArchivePair]]:
    batch: list[ArchivePair] = []
    size = 0
    for pair in pairs:
        if batch and size + pair.image.size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(pair)
        size += pair.image.size
    yield batch


def _check_batch(
    archive: BinaryIO, pairs: Sequence[ArchivePair], keep_metadata: bool
) -> Iterator[CheckedSample | RejectionReason]:
    # Step by step, each for all pairs: a quarter less time than pair by pair, since the processor's caches hold one step's code.
    words = [_read_words(archive, pair.caption) for pair in pairs]
    photos = [
        found if isinstance(found, RejectionReason) else _read_photo(archive, pair.image, keep_metadata)
        for found, pair in zip(words, pairs, strict=True)
    ]
    looks = [photo if isinstance(photo, RejectionReason) else look_at(photo.photo) for photo in photos]
    hashes = iter(hash_pictures([look for look in looks if not isinstance(look, RejectionReason)]))
    for found, photo, look in zip(words, photos, looks, strict=True):
        if (
            isinstance(found, RejectionReason)
            or isinstance(photo, RejectionReason)
            or isinstance(look, RejectionReason)
        ):
            yield next(reason for reason in (found, photo, look) if isinstance(reason, RejectionReason))
        else:
            caption, tags = found
            yield CheckedSample(caption, tags, photo.had, _digest(photo.photo), next(hashes), digest_words(caption))


def digest_words(caption: str) -> bytes | None:
    """Return what captions that say the same have in common; None for one that is so short that two people may well write it.

    Greetings, places and moods are a word or two; hence three words, and 15 letters (of scripts with more letters fewer, as each tells more: bytes of
    UTF-8 count). What is longer and yet many people's is told by how many have it (`etl.transform.splitting.grouping`).
    """
    words = fold_words(caption)
    said = "".join(words).encode()
    return _digest(" ".join(words).encode()) if len(words) >= _TELLING_WORDS and len(said) >= _TELLING_BYTES else None


def _read_words(archive: BinaryIO, member: ArchiveMember) -> tuple[str, list[str]] | RejectionReason:
    try:
        caption, tags = clean(member.read(archive).decode("utf-8"))
    except (DamagedError, UnicodeDecodeError):
        return RejectionReason.UNDECODABLE_CAPTION
    if _LOST in caption:
        return RejectionReason.UNDECODABLE_CAPTION
    return (caption, tags) if caption else RejectionReason.EMPTY_CAPTION


def _read_photo(archive: BinaryIO, member: ArchiveMember, keep_metadata: bool) -> StrippedPhoto | RejectionReason:
    try:
        photo = member.read(archive)
    except DamagedError:
        return RejectionReason.CORRUPT_IMAGE
    bare = drop_metadata(photo)
    return StrippedPhoto(photo, bare.had) if keep_metadata else bare


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
