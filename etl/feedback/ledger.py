"""Ledger of the feedback loop: what has been done so far, as small objects next to the feedback.

Each object is written once and completely, so no step is lost or repeated. They refer to feedback by its id
alone; their digests reveal nothing without the photo and the caption.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TypeVar

from etl.feedback.kinds import ReviewReason, Shares
from snap2caption.feedback import RecordKey
from snap2caption.formats.documents import StrictDocument
from snap2caption.names import Digest
from snap2caption.names import Version as VersionName
from snap2caption.store import ObjectStore
from snap2caption.store.documents import read_object, read_objects

BATCHES, SAMPLES, RETRAININGS, NEWEST = "batches/", "samples/", "retrainings/", "newest-version.json"


class FeedbackBatch(StrictDocument):
    """Feedback that was collected in one run: the keys of its records."""

    records: tuple[RecordKey, ...]


class ReviewCandidate(StrictDocument):
    """A feedback that annotators should see, and why. ``twin`` is equal for the same photo with the same caption."""

    record: RecordKey
    kind: ReviewReason
    twin: Digest


class ReviewSample(StrictDocument):
    """Candidates chosen from a batch, with the settings used."""

    seed: int
    shares: Shares
    chosen: tuple[ReviewCandidate, ...]
    duplicates: int
    """Candidates left out because annotators see the same photo with the same caption already."""


class FeedbackVersion(StrictDocument):
    """A feedback dataset version and its location."""

    version: VersionName
    uri: str


class StartedRetraining(StrictDocument):
    """A training that was started with a version."""

    version: VersionName
    uri: str
    started: datetime


Entry = TypeVar("Entry", bound=StrictDocument)


def entry(store: ObjectStore, key: str, kind: type[Entry]) -> Entry | None:
    """Return the entry under *key*, or None."""
    data = read_object(store, key)
    return None if data is None else kind.model_validate_json(data)


def names(store: ObjectStore, prefix: str) -> list[str]:
    """Return the names of the entries under *prefix*, in their order."""
    return [found.key.removeprefix(prefix).removesuffix(".json") for found in store.list(prefix)]


def entries(
    store: ObjectStore, prefix: str, kind: type[Entry], without: Collection[str] = ()
) -> Iterator[tuple[str, Entry]]:
    """Yield the entries under *prefix* with their names, in name order, except those whose names are in *without*."""
    wanted = [name for name in names(store, prefix) if name not in without]
    for name, data in zip(wanted, read_objects(store, (f"{prefix}{name}.json" for name in wanted)), strict=True):
        if data is not None:
            yield name, kind.model_validate_json(data)
