"""Validation of all annotated feedback: how much is usable, and why the rest is not. Only what changed is read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from etl.feedback.annotated import AnnotatedFeedback, JudgedFeedback, list_annotated, read_annotated
from etl.feedback.fact_index import FactIndex, Row, Source
from etl.feedback.judgment import AnnotationRejection, Correction
from etl.feedback.retraining import CorrectionKeys
from snap2caption.feedback import Annotation, distance
from snap2caption.store import ObjectStore


@dataclass(frozen=True, slots=True)
class CompletedAnnotation:
    """What the report counts about an annotation."""

    annotator: str
    day: date
    usable: bool


@dataclass(frozen=True, slots=True)
class JudgmentFacts:
    """The judgment of an annotated feedback, without its words."""

    refused: AnnotationRejection | None
    used: int | None
    """Number of the annotation whose words are used."""
    annotations: tuple[CompletedAnnotation, ...]
    similarities: tuple[float, ...]
    """Similarity (0 to 1) of the captions of each two annotators who could use the photo."""


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """Usable corrections, and the number of unusable annotated feedback by reason."""

    usable: CorrectionKeys
    refused: dict[AnnotationRejection, int]


def judgment_index(store: ObjectStore) -> FactIndex[JudgmentFacts]:
    """Return the index of the judgments."""
    return FactIndex(store, "judgments", JudgmentFacts)


def validate(store: ObjectStore) -> ValidationResult:
    """Validate every annotated feedback in the store.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    annotated, missing = list_annotated(store)
    usable, refused = set(), Counter({AnnotationRejection.ERASED: missing})
    for identifier, facts in read_judgments(store, annotated):
        if facts.used is not None:
            usable.add((identifier, facts.used))
        if facts.refused is not None:
            refused[facts.refused] += 1
    return ValidationResult(usable, {reason: count for reason, count in sorted(refused.items()) if count})


def read_judgments(store: ObjectStore, annotated: Sequence[AnnotatedFeedback]) -> Iterator[tuple[str, JudgmentFacts]]:
    """Yield the judgment of each feedback by its id. Only feedback that changed since the last call is read.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    by_id = {one.id: one for one in annotated}

    def derive(missing: Sequence[Source]) -> Iterator[Row[JudgmentFacts] | None]:
        found = read_annotated(store, (by_id[source.key] for source in missing))
        for source, judged in zip(missing, found, strict=True):
            yield None if judged is None else Row(*source, _facts_of(judged))

    for identifier, facts in judgment_index(store).facts((one.source for one in annotated), derive):
        if facts is not None:
            yield identifier, facts


def _facts_of(judged: JudgedFeedback) -> JudgmentFacts:
    judgment = judged.judgment
    return JudgmentFacts(
        refused=None if isinstance(judgment, Correction) else judgment,
        used=judgment.annotations[0].id if isinstance(judgment, Correction) else None,
        annotations=tuple(
            CompletedAnnotation(one.annotator, one.completed.date(), one.unusable is None) for one in judged.annotations
        ),
        similarities=tuple(_similarities(judged.annotations)),
    )


def _similarities(annotations: Sequence[Annotation]) -> Iterator[float]:
    newest = {
        one.annotator: one
        for one in sorted(annotations, key=lambda one: (one.completed, one.id))
        if one.unusable is None
    }
    for one, other in combinations(newest.values(), 2):
        yield 1 - distance(one.words, other.words)
