"""Which annotations count, and whose words are taken.

Only what an annotator completed counts: an edit that nobody looked at could teach every creator what one of them wrote. Where the annotator
and the creator differ the annotator wins, who saw the photo, what was shown and what the creator made of it; the creator's own way goes into
their own voice at once, without training. Of several annotators who agree, the words nearest to the others' are taken; where they do not,
the creator's edit decides between them, and without one nothing is taken.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import combinations
from statistics import fmean

from etl.feedback.records import annotation_keys, read_annotations, read_records, record_keys
from etl.transform.cleaning.caption import clean
from snap2caption.feedback import Annotation, Feedback, Words
from snap2caption.post import Post, render
from snap2caption.store import ObjectStore
from snap2caption.text.segmentation import fold_words

AGREEMENT = 0.5
"""How much alike (0 to 1) two annotators' words are on average if they agree: about, half of the words in the same order."""


class AnnotationRejection(StrEnum):
    """Why nothing is learned from an annotated feedback."""

    ERASED = "erased"
    """Or its record is gone, or is none."""
    MALFORMED = "malformed_annotation"
    UNUSABLE = "unusable"
    NO_CAPTION = "no_caption"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class Correction:
    """A feedback with the words that are to be learned: those of the first of its annotations, newest of each annotator."""

    feedback: Feedback
    annotations: tuple[Annotation, ...]
    agreement: float | None
    """How much alike the annotators' words are, from 0 to 1; None: there is one annotator."""

    @property
    def post(self) -> Post:
        """The words, cleaned as the corpus's are."""
        return _post(self.annotations[0].words)


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """What may be learned, by the feedback's id, and how many annotated feedbacks may not, by reason."""

    corrections: tuple[Correction, ...]
    refused: dict[AnnotationRejection, int]


def validate(store: ObjectStore) -> ValidationResult:
    """Judge every annotated feedback in the store."""
    keys, records = annotation_keys(store), record_keys(store)
    there = {identifier: keys[identifier] for identifier in sorted(keys.keys() & records.keys())}
    feedback = {one.id: one for one in read_records(store, (records[identifier] for identifier in there))}
    annotations: dict[str, list[Annotation]] = {identifier: [] for identifier in feedback}
    for annotation in read_annotations(store, (key for identifier in feedback for key in there[identifier])):
        if annotation.feedback in annotations:
            annotations[annotation.feedback].append(annotation)
    judged = [judge(feedback[identifier], annotations[identifier]) for identifier in sorted(feedback)]
    refused = Counter(one for one in judged if isinstance(one, AnnotationRejection))
    refused[AnnotationRejection.ERASED] += len(keys) - len(feedback)
    return ValidationResult(
        tuple(one for one in judged if isinstance(one, Correction)),
        {reason: count for reason, count in sorted(refused.items()) if count},
    )


def judge(feedback: Feedback, annotations: Sequence[Annotation]) -> Correction | AnnotationRejection:
    """Return what is to be learned of a feedback, or why nothing is.

    Args:
        feedback: what the creator said.
        annotations: of it, in any order; of one annotator the newest counts.
    """
    newest = {one.annotator: one for one in sorted(annotations, key=lambda one: (one.completed, one.id))}
    voices = sorted(newest.values(), key=lambda one: one.id)
    if not voices:
        return AnnotationRejection.MALFORMED
    # Where some can use the photo and some can't, caution wins.
    if 2 * sum(one.unusable is not None for one in voices) >= len(voices):
        return AnnotationRejection.UNUSABLE
    usable = [one for one in voices if one.unusable is None]
    written = [one for one in usable if _post(one.words).caption]
    if not written:
        return AnnotationRejection.NO_CAPTION
    if len(written) == 1:
        return Correction(feedback, tuple(written), None)
    alike = {
        frozenset((one.id, other.id)): _likeness(one.words, other.words) for one, other in combinations(written, 2)
    }
    agreement = fmean(alike.values())
    if agreement >= AGREEMENT:
        closeness = {
            one.id: sum(alike[frozenset((one.id, other.id))] for other in written if other is not one)
            for one in written
        }
    elif feedback.edited is not None:
        closeness = {one.id: _likeness(one.words, feedback.edited) for one in written}
    else:
        return AnnotationRejection.DISPUTED
    return Correction(feedback, tuple(sorted(written, key=lambda one: (-closeness[one.id], one.id))), agreement)


def _post(words: Words) -> Post:
    caption, tags = clean(render(Post(words.caption, words.hashtags)))
    return Post(caption, tuple(tags))


def _likeness(one: Words, other: Words) -> float:
    first, second = (fold_words(render(_post(words))) for words in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
