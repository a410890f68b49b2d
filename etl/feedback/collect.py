"""Collection: finds feedback that is new since the last run."""

import hashlib
import json

from etl.feedback.ledger import BATCHES, FeedbackBatch, entries
from etl.feedback.records import record_keys
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document


def collect(store: ObjectStore) -> int:
    """Put the records that are in no batch yet into a new one, and return their number.

    Records are only listed, not read. A record is identified by its key and not by its day, as the service may
    deliver its outbox days later.
    """
    known = {key for _, batch in entries(store, BATCHES, FeedbackBatch) for key in batch.records}
    new = sorted(set(record_keys(store).values()) - known)
    if new:
        name = hashlib.sha256(json.dumps(new).encode()).hexdigest()[:16]
        put_document(store, f"{BATCHES}{name}.json", FeedbackBatch(records=tuple(new)))
    return len(new)
