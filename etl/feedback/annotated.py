"""Annotated feedback in the store: what is there, and its content with the judgment of its annotations."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from etl.feedback.fact_index import Source
from etl.feedback.judgment import AnnotationRejection, Correction, judge
from etl.feedback.records import erased, id_of, parse
from snap2caption.feedback import Annotation, Feedback, is_record_key
from snap2caption.names import is_feedback_id
from snap2caption.parallel import map_ahead
from snap2caption.store import ObjectInfo, ObjectStore
from snap2caption.store.documents import READERS, read_object


@dataclass(frozen=True, slots=True)
class AnnotatedFeedback:
    """A feedback with annotations, as listed."""

    id: str
    record: ObjectInfo
    annotations: tuple[ObjectInfo, ...]

    @property
    def source(self) -> Source:
        """The feedback's id, with a digest of all entity tags that its judgment depends on."""
        parts = (f"{found.key} {found.tag}" for found in (self.record, *self.annotations))
        return Source(self.id, hashlib.sha256("\n".join(parts).encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class JudgedFeedback:
    """The content of an annotated feedback."""

    id: str
    annotations: tuple[Annotation, ...]
    """All valid ones, by number."""
    judgment: Correction | AnnotationRejection


def list_annotated(store: ObjectStore) -> tuple[list[AnnotatedFeedback], int]:
    """Return the annotated feedback by id, and how many annotated feedbacks have no record, most of them erased.

    Each prefix is listed once, and nothing is read.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    annotations: dict[str, list[ObjectInfo]] = {}
    for found in store.list("annotations/"):
        feedback = found.key.split("/")[1]
        if is_feedback_id(feedback):
            annotations.setdefault(feedback, []).append(found)
    wanted = annotations.keys() - erased(store)
    there = {
        identifier: found
        for found in store.list("records/")
        if is_record_key(found.key) and (identifier := id_of(found.key)) in wanted
    }
    annotated = [
        AnnotatedFeedback(identifier, there[identifier], tuple(annotations[identifier])) for identifier in sorted(there)
    ]
    return annotated, len(annotations) - len(annotated)


def read_annotated(store: ObjectStore, annotated: Iterable[AnnotatedFeedback]) -> Iterator[JudgedFeedback | None]:
    """Yield the content of each feedback in order, read in parallel; None for one whose record was just removed.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    return map_ahead(lambda one: read_judged(store, one), annotated, READERS)


def read_judged(store: ObjectStore, annotated: AnnotatedFeedback) -> JudgedFeedback | None:
    """Read and judge one feedback; None if its record was just removed.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    record = read_object(store, annotated.record.key)
    if record is None:
        return None
    contents = (read_object(store, found.key) for found in annotated.annotations)
    found = (parse(data, Annotation) for data in contents if data is not None)
    annotations = sorted(
        (one for one in found if one is not None and one.feedback == annotated.id), key=lambda one: one.id
    )
    feedback = parse(record, Feedback)
    judgment = AnnotationRejection.ERASED if feedback is None else judge(feedback, annotations)
    return JudgedFeedback(annotated.id, tuple(annotations), judgment)
