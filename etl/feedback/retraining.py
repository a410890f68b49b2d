"""Changes since the last retraining: new corrections, and erased ones."""

from datetime import UTC, datetime

from etl.feedback import ledger
from etl.feedback.ledger import RETRAININGS, StartedRetraining
from etl.feedback.records import erased
from snap2caption.datasets.manifest import Manifest
from snap2caption.datasets.version import DatasetVersion
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document

CorrectionKeys = set[tuple[str, int]]
"""Feedback ids with the annotations whose words were used."""


def new_since(store: ObjectStore, corrected: CorrectionKeys) -> int:
    """Return how many of *corrected* are not in the version that the last training was started with."""
    return len(corrected - _last_learned(store))


def erased_since(store: ObjectStore) -> int:
    """Return how many corrections in the version of the last started training were erased since."""
    return len({identifier for identifier, _ in _last_learned(store)} & erased(store))


def _last_learned(store: ObjectStore) -> CorrectionKeys:
    last = max(
        (one for _, one in ledger.entries(store, RETRAININGS, StartedRetraining)),
        key=lambda one: one.started,
        default=None,
    )
    return correction_keys(DatasetVersion.open(last.uri).manifest) if last else set()


def note_retraining(store: ObjectStore, uri: str) -> str:
    """Record that a training was started with the version at *uri*, and return the version. Idempotent."""
    version = DatasetVersion.open(uri).manifest.version
    key = f"{RETRAININGS}{version}.json"
    if ledger.entry(store, key, StartedRetraining) is None:
        put_document(store, key, StartedRetraining(version=version, uri=uri, started=datetime.now(UTC)))
    return version


def correction_keys(manifest: Manifest) -> CorrectionKeys:
    """Return the corrections that a feedback version was made of."""
    samples = manifest.feedback.samples if manifest.feedback else {}
    return {(identifier, origin.annotations[0].annotation) for identifier, origin in samples.items()}
