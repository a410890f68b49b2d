"""Feedback records: what a creator said about a caption, as the service stores it and the feedback DAG reads it.

Serving writes them, `etl.feedback` reads them, and only this module knows their shape and their keys. All keys are
made from digests and dates of our own: nothing that a client sends becomes part of one.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from rapidfuzz.distance import Levenshtein

from snap2caption.names import Digest, FeedbackId, is_digest, is_feedback_id, is_file_name
from snap2caption.post import Tone

MAX_CAPTION = 2200
"""Characters of a caption, as on Instagram."""

MAX_HASHTAGS = 30

ERASURES = "erased/"
"""What the keys of all erasures' records start with."""

ACCEPTED = 4
"""A caption that was rated so or better, and not edited, was accepted."""

_RECORD = re.compile(r"records/[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9a-f]{32}\.json")

RecordKey = Annotated[str, StringConstraints(pattern=rf"^{_RECORD.pattern}$")]
"""The key of a feedback's record, as `record_key` makes it."""


class Reason(StrEnum):
    """The reason why a caption was not good enough."""

    WRONG_PLACE = "wrong_place"
    WRONG_SUBJECT = "wrong_subject"
    WRONG_TONE = "wrong_tone"
    BAD_HASHTAGS = "bad_hashtags"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    OFFENSIVE = "offensive"
    OTHER = "other"


class Verdict(StrEnum):
    """The creator's judgment of a caption."""

    ACCEPTED = "accepted"
    EDITED = "edited"
    REJECTED = "rejected"


class Words(BaseModel):
    """A caption (prose) and its hashtags, best first, in normal form without ``#``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    caption: Annotated[str, StringConstraints(max_length=MAX_CAPTION)]
    hashtags: Annotated[tuple[str, ...], Field(max_length=MAX_HASHTAGS)] = ()


class Feedback(BaseModel):
    """One creator's feedback on one caption."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: FeedbackId
    """Made of the creator and their own idempotency key, or at random: the same submission twice is one feedback."""
    creator: Digest
    """The creator's opaque id, whatever key sent it; the SHA-256 of the empty string where the service needs none."""
    received: datetime
    """In UTC."""
    photo: Digest
    """SHA-256 of the photo as stored: decoded, upright, without metadata, encoded again."""
    shown: Words | None = None
    """What the service had written; None where feedback came with an image of its own and no caption."""
    edited: Words | None = None
    """What the creator made of it."""
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    reason: Reason | None = None
    flagged: bool = False
    """Whether the creator asks for a person to look."""
    request_id: str | None = None
    variant: Annotated[int, Field(ge=0)] = 0
    """Which of the request's captions."""
    model_version: str | None = None
    tone: Tone | None = None
    location: str | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """Mean probability of the tokens of the caption that was shown."""

    @property
    def is_edited(self) -> bool:
        """Whether the creator changed the caption that was shown."""
        return self.edited is not None and self.edited != self.shown

    @property
    def verdict(self) -> Verdict | None:
        """The creator's judgment, or None if they gave none."""
        return verdict_of(edited=self.is_edited, rating=self.rating, rejected=self.flagged or self.reason is not None)

    @property
    def edit_distance(self) -> float | None:
        """The distance between the caption that was shown and the one that was kept, from 0 (equal) to 1.

        It is Levenshtein's distance divided by the length of the longer caption.
        """
        if self.shown is None:
            return None
        return distance(self.shown, self.edited or self.shown)

    @property
    def own_words(self) -> Words | None:
        """The words that show how the creator writes: their edit, or what they accepted unchanged."""
        if self.is_edited:
            return self.edited
        return self.shown if self.verdict is Verdict.ACCEPTED and not self.flagged else None


class Unusable(StrEnum):
    """The reason why nothing can be learned from a photo, whatever its caption."""

    BROKEN = "broken"
    PRIVATE = "private"
    OFFENSIVE = "offensive"
    OTHER = "other"


class Annotation(BaseModel):
    """An annotator's result for a feedback, completed in Label Studio."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[int, Field(ge=1)]
    """Label Studio's own number of the annotation. A corrected annotation keeps it."""
    feedback: FeedbackId
    annotator: Annotated[str, StringConstraints(pattern=r"^[0-9]+$")]
    """Label Studio's number of the person: no name and no address leaves it."""
    completed: datetime
    """In UTC; of a corrected annotation, when it was corrected."""
    words: Words
    """The caption and the hashtags as they should be. Of an unusable photo they mean nothing."""
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    """How good the caption was that the annotator was shown."""
    unusable: Unusable | None = None
    tone: Tone | None = None


class Erasure(BaseModel):
    """The record that a feedback was erased.

    It names no content, and it stays, so that no later run restores the feedback.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: FeedbackId
    erased: datetime
    owner: Digest
    """Proves to the creator who asks again that it was theirs, and names nobody: see `owner_of`."""


class Departure(BaseModel):
    """The record that a creator had all their feedback erased.

    Earlier feedback that still waits on a machine is not stored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    asked: datetime


class Pointer(BaseModel):
    """A pointer to one feedback of a creator, so that all of theirs is found without reading anyone else's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    record: RecordKey
    photo: Digest
    received: datetime


def verdict_of(*, edited: bool, rating: int | None, rejected: bool) -> Verdict | None:
    """Return a creator's judgment of a caption, or None if they gave none.

    Args:
        edited: they changed it.
        rating: their rating, from 1 to 5.
        rejected: they flagged it, or gave a reason why it was not good enough.
    """
    if edited:
        return Verdict.EDITED
    if rating is None:
        return Verdict.REJECTED if rejected else None
    return Verdict.ACCEPTED if rating >= ACCEPTED else Verdict.REJECTED


def distance(one: Words, other: Words) -> float:
    """Return the distance of two captions, from 0 to 1: Levenshtein's distance divided by the length of the longer
    one.
    """
    return Levenshtein.normalized_distance(one.caption, other.caption)


def owner_of(identifier: str, creator: str) -> str:
    """Return the digest that an erasure keeps of its creator. It covers the feedback, so no two erasures share it."""
    return hashlib.sha256(f"{identifier} {creator}".encode()).hexdigest()


def record_key(feedback: Feedback) -> str:
    """Return the key of a feedback's record. It contains the day, so that one day can be listed."""
    return f"records/{feedback.received.astimezone(UTC):%Y-%m-%d}/{feedback.id}.json"


def is_record_key(key: str) -> bool:
    """Whether *key* is one that `record_key` makes."""
    return _RECORD.fullmatch(key) is not None


def photo_key(digest: str) -> str:
    """Return the key of the photo with *digest*. Several records may refer to the same photo.

    Raises:
        ValueError: *digest* is not a digest.
    """
    digest = _checked(digest, is_digest, "a digest")
    return f"photos/{digest[:2]}/{digest}.jpg"


def annotation_key(feedback: str, annotation: int) -> str:
    """Return the key of an annotation's record.

    Raises:
        ValueError: *feedback* is not the id of a feedback.
    """
    return f"{annotations_prefix(feedback)}{annotation}.json"


def annotations_prefix(feedback: str) -> str:
    """Return the prefix of the keys of all annotations of a feedback.

    Raises:
        ValueError: *feedback* is not the id of a feedback.
    """
    return f"annotations/{_checked(feedback)}/"


def pointer_key(creator: str, identifier: str) -> str:
    """Return the key of the pointer to a creator's feedback.

    Raises:
        ValueError: *identifier* is not the id of a feedback.
    """
    return f"{pointers_prefix(creator)}{_checked(identifier)}.json"


def pointers_prefix(creator: str) -> str:
    """Return the prefix of the keys of all pointers to a creator's feedback.

    Raises:
        ValueError: *creator* is not the id of a creator.
    """
    return f"creators/{_checked(creator, is_file_name, 'the id of a creator')}/"


def use_key(photo: str, identifier: str) -> str:
    """Return the key of the record that a feedback refers to a photo.

    Raises:
        ValueError: *identifier* is not the id of a feedback.
    """
    return f"{uses_prefix(photo)}{_checked(identifier)}"


def uses_prefix(photo: str) -> str:
    """Return the prefix of the keys of all uses of a photo.

    Raises:
        ValueError: *photo* is not a digest.
    """
    return f"uses/{_checked(photo, is_digest, 'a digest')}/"


def erasure_key(identifier: str) -> str:
    """Return the key of an erasure's record.

    Raises:
        ValueError: *identifier* is not the id of a feedback.
    """
    return f"{ERASURES}{_checked(identifier)}.json"


def departure_key(creator: str) -> str:
    """Return the key of the record that a creator had everything erased.

    It reveals the creator only to those who know their id.
    """
    return f"left/{hashlib.sha256(f'left {creator}'.encode()).hexdigest()}.json"


def is_creator(text: str) -> bool:
    """Whether *text* has the form of a creator's id, which is that of a digest."""
    return is_digest(text)


def _checked(name: str, is_one: Callable[[str], bool] = is_feedback_id, kind: str = "the id of a feedback") -> str:
    if not is_one(name):
        raise ValueError(f"{name!r} is not {kind}")
    return name
