"""Annotation validation: which annotations count, and whose words are used.

Only completed annotations count: an edit that nobody reviewed could teach every creator what one of them wrote.
Where the annotator and the creator differ, the annotator wins: they saw the photo, what was shown and the
creator's edit. The creator's own style goes into their voice at once, without training. Of several annotators
who agree, the words nearest to the others' are used. Where they disagree, the creator's edit decides between
them; without an edit nothing is used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import combinations
from statistics import fmean

from etl.transform.cleaning.caption import clean
from snap2caption.feedback import Annotation, Feedback, Words
from snap2caption.post import Post, render
from snap2caption.text.segmentation import fold_words

AGREEMENT = 0.5
"""Average similarity (0 to 1) from which annotators agree: roughly, half of the words in the same order."""


class AnnotationRejection(StrEnum):
    """Reason why nothing is learned from an annotated feedback."""

    ERASED = "erased"
    """Erased, or its record is missing or invalid."""
    MALFORMED = "malformed_annotation"
    UNUSABLE = "unusable"
    NO_CAPTION = "no_caption"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class Correction:
    """A feedback with the words to learn: those of its first annotation. Holds the newest annotation per annotator."""

    feedback: Feedback
    annotations: tuple[Annotation, ...]
    agreement: float | None
    """Similarity of the annotators' words from 0 to 1; None for a single annotator."""

    @property
    def post(self) -> Post:
        """The words, cleaned like the corpus's."""
        return _post(self.annotations[0].words)


def judge(feedback: Feedback, annotations: Sequence[Annotation]) -> Correction | AnnotationRejection:
    """Return the correction to learn from a feedback, or why there is none.

    Args:
        feedback: the creator's feedback.
        annotations: its annotations, in any order; the newest per annotator counts.
    """
    newest = {one.annotator: one for one in sorted(annotations, key=lambda one: (one.completed, one.id))}
    latest = sorted(newest.values(), key=lambda one: one.id)
    if not latest:
        return AnnotationRejection.MALFORMED
    # Where some annotators can use the photo and others can't, caution wins.
    if 2 * sum(one.unusable is not None for one in latest) >= len(latest):
        return AnnotationRejection.UNUSABLE
    usable = [one for one in latest if one.unusable is None]
    captioned = [one for one in usable if _post(one.words).caption]
    if not captioned:
        return AnnotationRejection.NO_CAPTION
    if len(captioned) == 1:
        return Correction(feedback, tuple(captioned), None)
    similarity = {
        frozenset((one.id, other.id)): _likeness(one.words, other.words) for one, other in combinations(captioned, 2)
    }
    agreement = fmean(similarity.values())
    if agreement >= AGREEMENT:
        closeness = {
            one.id: sum(similarity[frozenset((one.id, other.id))] for other in captioned if other is not one)
            for one in captioned
        }
    elif feedback.edited is not None:
        closeness = {one.id: _likeness(one.words, feedback.edited) for one in captioned}
    else:
        return AnnotationRejection.DISPUTED
    return Correction(feedback, tuple(sorted(captioned, key=lambda one: (-closeness[one.id], one.id))), agreement)


def _post(words: Words) -> Post:
    caption, tags = clean(render(Post(words.caption, words.hashtags)))
    return Post(caption, tuple(tags))


def _likeness(one: Words, other: Words) -> float:
    first, second = (fold_words(render(_post(words))) for words in (one, other))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
