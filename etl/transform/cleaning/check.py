"""Sample check: read from the archive, clean, curate, decode and hash."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from etl.transform.archive.corpus import CorpusArchive
from etl.transform.archive.member_reader import ArchivePair, DamagedError
from etl.transform.cleaning.caption import clean
from etl.transform.cleaning.metadata import StrippedPhoto, drop_metadata
from etl.transform.cleaning.picture import compute_spectrum, hash_pictures
from etl.transform.curation.steps import Curator, Measures
from etl.transform.curation.texts import Text, digest_template
from etl.transform.rejection_reasons import RejectionReason
from snap2caption.text.segmentation import fold_words

_REPLACEMENT_CHARACTER = "\ufffd"
"""The replacement character, which a program put in place of what it could not decode. A model must not learn
to write it.
"""

_MIN_WORDS, _MIN_BYTES = 3, 15

_BATCH_BYTES = 8 * 1024 * 1024
"""Bytes of photos that are in memory at a time."""

_APART = 1 << 20
"""Bytes between two members for which one request costs less than two, such as the photos of other cities. A request of
a few kilobytes costs SeaweedFS as much as 4 MB of a large one (8 ms of processor time).
"""


@dataclass(frozen=True, slots=True)
class CheckedSample:
    """A usable sample: its text, and the hashes that it is compared by."""

    caption: str
    hashtags: list[str]
    image_metadata: int
    """Metadata in the photo's file (`etl.transform.cleaning.metadata.MetadataKind`)."""
    image_digest: bytes
    """SHA-256 of the part of the file that is kept."""
    image_hash: bytes
    """The perceptual hashes, 65 bytes."""
    caption_digest: bytes | None
    """SHA-256 of the caption's words, if they are distinctive."""
    template_digest: bytes | None = None
    """SHA-256 of the caption's words with any number for any other, if curation asks for it."""
    sketch: bytes | None = None
    """What the picture shows (`etl.transform.curation.embeddings`), if curation asks for it."""
    measures: Measures = field(default_factory=dict)
    """What curation measured."""


@dataclass(frozen=True, slots=True)
class RejectedSample:
    """A sample that is not used, and what is known of it so far."""

    reason: RejectionReason
    caption: str | None = None
    """The cleaned caption, if it could be read."""
    measures: Measures = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    """A pair on its way through the steps. Once it has a reason, no further step looks at it."""

    pair: ArchivePair
    reason: RejectionReason | None = None
    text: Text | None = None
    photo: StrippedPhoto | None = None
    spectrum: npt.NDArray[np.float64] | None = None
    sketch: bytes | None = None
    measures: Measures = field(default_factory=dict)


def check(
    archive: CorpusArchive, pairs: Sequence[ArchivePair], *, keep_metadata: bool = False, curator: Curator | None = None
) -> Iterator[CheckedSample | RejectedSample]:
    """Check pairs: yield each pair's sample, or the reason why it can't be used.

    Args:
        archive: the corpus.
        pairs: where the photos and captions are in it.
        keep_metadata: the photos will be kept with their metadata.
        curator: steps that reject samples by their content.
    """
    for batch in _batches(pairs):
        yield from _check_batch(archive, batch, keep_metadata, curator)


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
    archive: CorpusArchive, pairs: Sequence[ArchivePair], keep_metadata: bool, curator: Curator | None
) -> Iterator[CheckedSample | RejectedSample]:
    members = [*(pair.caption for pair in pairs), *(pair.image for pair in pairs)]
    archive.expect((member.block for member in members), _APART)
    # One step for all pairs, then the next: this takes a quarter less time than pair by pair, as the
    # processor's caches hold one step's code.
    drafts = [_Draft(pair) for pair in pairs]
    for draft in drafts:
        _read_words(archive, draft)
    if curator is not None:
        for draft, text in _usable_texts(drafts):
            draft.reason = curator.judge_text(text, draft.measures)
    for draft, _ in _usable_texts(drafts):
        _read_photo(archive, draft, keep_metadata)
    if curator is not None:
        for draft, photo in _usable_photos(drafts):
            draft.reason = curator.judge_header(photo, draft.measures)
    for draft, photo in _usable_photos(drafts):
        spectrum = compute_spectrum(photo)
        if isinstance(spectrum, RejectionReason):
            draft.reason = spectrum
        else:
            draft.spectrum = spectrum
    if curator is not None:
        for draft, photo in _usable_photos(drafts):
            draft.reason = curator.judge_photo(photo, draft.measures)
        for draft, photo in _usable_photos(drafts):
            sketch = curator.sketch(photo)
            if isinstance(sketch, RejectionReason):
                draft.reason = sketch
            else:
                draft.sketch = sketch
    hashes = iter(hash_pictures([one.spectrum for one in drafts if one.reason is None and one.spectrum is not None]))
    for draft in drafts:
        if draft.reason is not None or draft.text is None or draft.photo is None:
            reason = draft.reason or RejectionReason.CORRUPT_IMAGE
            yield RejectedSample(reason, None if draft.text is None else draft.text.caption, draft.measures)
        else:
            text, stripped = draft.text, draft.photo
            yield CheckedSample(
                text.caption,
                text.hashtags,
                stripped.metadata,
                _digest(stripped.photo),
                next(hashes),
                digest_words(text.caption),
                digest_template(text.caption) if curator is not None and curator.finds_templates else None,
                draft.sketch,
                draft.measures,
            )


def _usable_texts(drafts: Iterable[_Draft]) -> Iterator[tuple[_Draft, Text]]:
    return ((draft, draft.text) for draft in drafts if draft.reason is None and draft.text is not None)


def _usable_photos(drafts: Iterable[_Draft]) -> Iterator[tuple[_Draft, bytes]]:
    return ((draft, draft.photo.photo) for draft in drafts if draft.reason is None and draft.photo is not None)


def digest_words(caption: str) -> bytes | None:
    """Return a fingerprint that captions with the same words share; None if the caption is so short that two
    people may well write it.

    Greetings, places and moods are a word or two. Hence at least three words and 15 bytes of UTF-8 are
    required: 15 letters, or fewer in scripts whose letters carry more information. Longer captions that many
    people use are recognized by their frequency (`etl.transform.splitting.grouping`).
    """
    words = fold_words(caption)
    letters = "".join(words).encode()
    return _digest(" ".join(words).encode()) if len(words) >= _MIN_WORDS and len(letters) >= _MIN_BYTES else None


def _read_words(archive: CorpusArchive, draft: _Draft) -> None:
    try:
        caption, tags = clean(draft.pair.caption.read(archive).decode("utf-8"))
    except (DamagedError, UnicodeDecodeError):
        draft.reason = RejectionReason.UNDECODABLE_CAPTION
        return
    if _REPLACEMENT_CHARACTER in caption:
        draft.reason = RejectionReason.UNDECODABLE_CAPTION
    elif not caption:
        draft.reason = RejectionReason.EMPTY_CAPTION
    else:
        draft.text = Text(caption, tags)


def _read_photo(archive: CorpusArchive, draft: _Draft, keep_metadata: bool) -> None:
    try:
        photo = draft.pair.image.read(archive)
    except DamagedError:
        draft.reason = RejectionReason.CORRUPT_IMAGE
        return
    bare = drop_metadata(photo)
    draft.photo = StrippedPhoto(photo, bare.metadata) if keep_metadata else bare


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
