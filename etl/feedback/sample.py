"""Review sample: chooses the feedback that annotators see."""

import hashlib
from collections import Counter

from pydantic import BaseModel, ConfigDict

from etl.feedback.kinds import ReviewReason, Shares, choose
from etl.feedback.ledger import BATCHES, SAMPLES, FeedbackBatch, ReviewCandidate, ReviewSample, entries, names
from etl.feedback.records import annotation_keys, erased, id_of, read_records
from snap2caption.feedback import Feedback
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document


class SampleResult(BaseModel):
    """Result of one run: number of chosen feedback per kind, and number left out as duplicates."""

    model_config = ConfigDict(frozen=True)

    chosen: dict[ReviewReason, int]
    duplicates: int


def sample(store: ObjectStore, shares: Shares, seed: int) -> SampleResult:
    """Choose feedback from every batch that has no sample yet.

    Each feedback is chosen at most once: a batch's sample is written as a whole and stands, whatever shares and
    seed come later. Of the same photo with the same caption only the first is chosen, in this batch or an
    earlier one.
    """
    batches = dict(entries(store, BATCHES, FeedbackBatch, without=names(store, SAMPLES)))
    if not batches:
        return SampleResult(chosen={}, duplicates=0)
    done = dict(entries(store, SAMPLES, ReviewSample))
    seen = {chosen.record for one in done.values() for chosen in one.chosen}
    twins = {chosen.twin for one in done.values() for chosen in one.chosen}
    gone = erased(store)
    kinds: Counter[ReviewReason] = Counter()
    duplicates = 0
    # Ordered by their records, which begin with the day.
    for name, batch in sorted(batches.items(), key=lambda item: item[1].records):
        keys = {id_of(key): key for key in batch.records if key not in seen}
        feedback = read_records(store, (key for identifier, key in keys.items() if identifier not in gone))
        found = [
            ReviewCandidate(record=keys[one.id], kind=kind, twin=_twin(one))
            for one in sorted(feedback, key=lambda one: (one.received, one.id))
            if (kind := choose(one, shares, seed)) is not None
        ]
        first = {chosen.twin: chosen for chosen in reversed(found) if chosen.twin not in twins}
        chosen = tuple(one for one in found if first.get(one.twin) is one)
        put_document(
            store,
            f"{SAMPLES}{name}.json",
            ReviewSample(seed=seed, shares=shares, chosen=chosen, duplicates=len(found) - len(chosen)),
        )
        seen |= {one.record for one in chosen}
        twins |= first.keys()
        kinds.update(one.kind for one in chosen)
        duplicates += len(found) - len(chosen)
    return SampleResult(chosen=dict(kinds), duplicates=duplicates)


def open_records(store: ObjectStore) -> list[str]:
    """Return the keys of the chosen feedback that was neither annotated nor erased: annotators should find a task
    for each.
    """
    keys = {chosen.record for _, one in entries(store, SAMPLES, ReviewSample) for chosen in one.chosen}
    done = erased(store) | annotation_keys(store).keys()
    return sorted(key for key in keys if id_of(key) not in done)


def _twin(feedback: Feedback) -> str:
    words = feedback.shown.model_dump_json() if feedback.shown else ""
    return hashlib.sha256(f"{feedback.photo}:{words}".encode()).hexdigest()
