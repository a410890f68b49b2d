import pytest
from feedbacks import Box, identifier

from etl.feedback.annotated import list_annotated, read_annotated
from etl.feedback.judgment import AnnotationRejection, Correction
from etl.feedback.validate import validate
from snap2caption.feedback import Words, annotation_key

pytestmark = pytest.mark.unit


def only(box: Box) -> Correction:
    (correction,) = corrections(box)
    return correction


def corrections(box: Box) -> list[Correction]:
    """Return what is learned from the box."""
    judgments = [one.judgment for one in read_annotated(box.store, list_annotated(box.store)[0]) if one]
    found = [one for one in judgments if isinstance(one, Correction)]
    assert validate(box.store).usable == {(one.feedback.id, one.annotations[0].id) for one in found}
    return found


def test_the_annotators_words_win_over_the_creators(box: Box) -> None:
    box.send(1, edited=Words(caption="The creator's."))
    box.annotate(1, "The annotator's. See https://example.com @someone")
    assert only(box).post.caption == "The annotator's. See"
    assert only(box).post.hashtags == ("chicago", "tag1")
    assert only(box).agreement is None


def test_an_edit_without_an_annotation_teaches_nothing(box: Box) -> None:
    box.send(1, edited=Words(caption="The creator's."))
    assert corrections(box) == []


def test_a_corrected_annotation_takes_the_place_of_the_first(box: Box) -> None:
    box.send(1)
    box.annotate(1, "At first.", id=50, at=1)
    box.annotate(1, "On second thoughts.", id=60, at=2)
    assert only(box).post.caption == "On second thoughts."
    assert [one.id for one in only(box).annotations] == [60]


def test_of_several_who_agree_the_nearest_is_taken(box: Box) -> None:
    box.send(1)
    box.annotate(1, "The red bridge at dawn.", annotator=1)
    box.annotate(1, "The red bridge at dawn today.", annotator=2)
    box.annotate(1, "The old red bridge at dawn today.", annotator=3)
    correction = only(box)
    assert correction.post.caption == "The red bridge at dawn today."
    assert 0.5 < correction.agreement < 1
    assert {one.annotator for one in correction.annotations} == {"1", "2", "3"}


def test_disagreement_is_decided_by_the_creators_edit(box: Box) -> None:
    tags = {"words": Words(caption="Nothing but sunshine over here", hashtags=())}
    for number, edited in ((1, None), (2, Words(caption="A rainy evening downtown", hashtags=()))):
        box.send(number, edited=edited)
        box.annotate(number, annotator=1, **tags)
        box.annotate(number, annotator=2, words=Words(caption="One rainy evening downtown", hashtags=()))
    found = validate(box.store)
    assert [one.post.caption for one in corrections(box)] == ["One rainy evening downtown"]
    assert found.refused == {AnnotationRejection.DISPUTED: 1}


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ([{"unusable": "broken"}], AnnotationRejection.UNUSABLE),
        ([{"unusable": "private"}, {"annotator": 2}], AnnotationRejection.UNUSABLE),
        ([{"words": Words(caption=" https://example.com ", hashtags=("x1",))}], AnnotationRejection.NO_CAPTION),
    ],
)
def test_what_cannot_be_used_is_counted(
    box: Box, annotations: list[dict[str, object]], reason: AnnotationRejection
) -> None:
    box.send(1)
    for fields in annotations:
        box.annotate(1, **fields)
    found = validate(box.store)
    assert (found.usable, found.refused) == (set(), {reason: 1})


def test_one_unusable_of_three_is_outvoted(box: Box) -> None:
    box.send(1)
    box.annotate(1, "The red bridge.", annotator=1)
    box.annotate(1, "The red bridge.", annotator=2)
    box.annotate(1, annotator=3, unusable="other")
    assert only(box).agreement == 1.0


def test_erased_feedback_and_what_is_no_annotation_are_left_out(box: Box) -> None:
    erased = box.send(1)
    box.annotate(1)
    box.erase(erased)
    box.send(2)
    box.put(annotation_key(identifier(2), 5), b'{"id": "x"}')
    box.send(3)
    box.annotate(3)
    # Under the key of another feedback: it does not count for either.
    box.put(annotation_key(identifier(2), 31), box.annotate(3).model_dump_json().encode())
    found = validate(box.store)
    assert [one.feedback.id for one in corrections(box)] == [identifier(3)]
    assert found.refused == {AnnotationRejection.ERASED: 1, AnnotationRejection.MALFORMED: 1}
