"""Record facts: what the report counts about each feedback, without the creator's words and without their id."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from etl.feedback.fact_index import FactIndex, Row, Source
from etl.feedback.records import id_of, parse
from snap2caption.feedback import Feedback, Reason, Verdict, is_record_key, verdict_of
from snap2caption.post import Tone
from snap2caption.store import ObjectStore
from snap2caption.store.documents import read_objects


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """A feedback without its content."""

    received: datetime
    """In UTC."""
    creator: str
    """A digest of the creator's id."""
    caption: str | None
    """A digest of the creator, the request and the variant; equal for feedback on the same caption."""
    rating: int | None
    reason: Reason | None
    flagged: bool
    edited: bool
    distance: float | None
    """See `Feedback.edit_distance`."""
    version: str
    tone: Tone | None

    @property
    def verdict(self) -> Verdict | None:
        """The creator's judgment, or None if they gave none."""
        return verdict_of(edited=self.edited, rating=self.rating, rejected=self.flagged or self.reason is not None)


def facts_of(feedback: Feedback) -> RecordFacts:
    """Return the facts about a feedback."""
    request = feedback.request_id
    return RecordFacts(
        received=feedback.received,
        creator=_digest(feedback.creator),
        caption=None if request is None else _digest(f"{feedback.creator} {request} {feedback.variant}"),
        rating=feedback.rating,
        reason=feedback.reason,
        flagged=feedback.flagged,
        edited=feedback.is_edited,
        distance=feedback.edit_distance,
        version=feedback.model_version or "",
        tone=feedback.tone,
    )


def record_index(store: ObjectStore) -> FactIndex[RecordFacts]:
    """Return the index of the facts about all records."""
    return FactIndex(store, "records", RecordFacts)


def read_record_facts(store: ObjectStore, gone: Collection[str]) -> Iterator[tuple[str, RecordFacts]]:
    """Yield the facts about each valid record by its key, except of feedback whose id is in *gone*. Only records that
    are new since the last call are read.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    there = (Source(found.key, found.tag) for found in store.list("records/") if is_record_key(found.key))
    sources = (source for source in there if id_of(source.key) not in gone)
    for key, facts in record_index(store).facts(sources, lambda missing: _derive(store, missing)):
        if facts is not None:
            yield key, facts


def _derive(store: ObjectStore, missing: Sequence[Source]) -> Iterator[Row[RecordFacts] | None]:
    for source, data in zip(missing, read_objects(store, (one.key for one in missing)), strict=True):
        feedback = None if data is None else parse(data, Feedback)
        yield None if data is None else Row(*source, None if feedback is None else facts_of(feedback))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
