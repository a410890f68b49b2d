"""Collection: finds feedback that is new since the last run."""

import hashlib
import json

from etl.feedback.ledger import BATCHES, FeedbackBatch, entries
from etl.feedback.records import record_keys
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document

BATCH = 10_000
"""Records in a batch at most, since later steps read a batch's records into memory."""


def collect(store: ObjectStore) -> int:
    """Put the records that are in no batch yet into new ones, and return their number.

    Records are only listed, not read. A record is identified by its key and not by its day, as the service may
    deliver its outbox days later. A run that was killed between two batches is completed by the next.
    """
    known = {key for _, batch in entries(store, BATCHES, FeedbackBatch) for key in batch.records}
    new = sorted(set(record_keys(store).values()) - known)
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        name = hashlib.sha256(json.dumps(batch).encode()).hexdigest()[:16]
        put_document(store, f"{BATCHES}{name}.json", FeedbackBatch(records=tuple(batch)))
    return len(new)
