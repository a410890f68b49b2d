"""Collection: finds feedback that is new since the last run."""

import hashlib
import json
from contextlib import closing

from etl.feedback.ledger import BATCHES, FeedbackBatch, entries
from etl.feedback.records import erased, id_of, record_keys
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document
from snap2caption.temporary_database import open_temporary_database

BATCH = 10_000
"""Records in a batch at most, since later steps read a batch's records into memory."""

_PRESENT = "CREATE TABLE present (id TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID"
_COLLECTED = "CREATE TABLE collected (key TEXT PRIMARY KEY) WITHOUT ROWID"
_NEW = "SELECT key FROM present WHERE key NOT IN (SELECT key FROM collected) ORDER BY key"


def collect(store: ObjectStore) -> int:
    """Put the records that are in no batch yet into new ones, and return their number.

    Records are only listed, not read. A record is identified by its key and not by its day, as the service may
    deliver its outbox days later. A run that was killed between two batches is completed by the next.

    Keys are compared on disk: memory holds some batches, and the ids of what was erased.
    """
    new = 0
    with closing(open_temporary_database()) as keys:
        keys.execute(_PRESENT)
        keys.execute(_COLLECTED)
        gone = erased(store)
        present = ((identifier, key) for key in record_keys(store) if (identifier := id_of(key)) not in gone)
        keys.executemany("INSERT OR REPLACE INTO present VALUES (?, ?)", present)
        for _, batch in entries(store, BATCHES, FeedbackBatch):
            keys.executemany("INSERT OR IGNORE INTO collected VALUES (?)", ((key,) for key in batch.records))
        found = keys.execute(_NEW)
        while rows := found.fetchmany(BATCH):
            uncollected = tuple(key for (key,) in rows)
            name = hashlib.sha256(json.dumps(uncollected).encode()).hexdigest()[:16]
            put_document(store, f"{BATCHES}{name}.json", FeedbackBatch(records=uncollected))
            new += len(uncollected)
    return new
