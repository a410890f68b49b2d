from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from snap2caption.feedback import Annotation, Feedback, Words, annotation_key, erasure_key, photo_key, record_key

pytestmark = pytest.mark.unit

ID, CREATOR, PHOTO = "0" * 31 + "1", "a" * 64, "b" * 64


def feedback(**others: object) -> Feedback:
    given = {"id": ID, "creator": CREATOR, "received": datetime(2026, 11, 24, 23, 30, tzinfo=UTC), "photo": PHOTO}
    return Feedback.model_validate(given | others)


def test_what_is_written_is_read_back() -> None:
    whole = feedback(
        shown=Words(caption="Hi", hashtags=("a1",)), rating=2, reason="wrong_place", tone="witty", flagged=True
    )
    assert Feedback.model_validate_json(whole.model_dump_json()) == whole


def test_the_day_of_a_record_is_that_of_utc() -> None:
    east = feedback(received=datetime(2026, 11, 25, 0, 30, tzinfo=timezone(timedelta(hours=9))))
    assert record_key(east) == f"records/2026-11-24/{ID}.json"


def test_a_photo_lies_under_its_digest() -> None:
    assert photo_key(PHOTO) == f"photos/bb/{PHOTO}.jpg"


@pytest.mark.parametrize("identifier", ["../../etc/passwd", "", "0" * 31, "A" * 32, "0" * 32 + "\n"])
def test_nothing_but_an_id_becomes_a_key(identifier: str) -> None:
    with pytest.raises(ValueError, match="is not the id"):
        erasure_key(identifier)
    with pytest.raises(ValueError, match="is not the id"):
        annotation_key(identifier, 1)


def test_an_annotation_lies_beside_the_others_of_its_feedback() -> None:
    assert annotation_key(ID, 7) == f"annotations/{ID}/7.json"


@pytest.mark.parametrize("wrong", [{"id": 0}, {"annotator": "a@b.c"}, {"unusable": "dull"}, {"rating": 0}, {"more": 1}])
def test_a_wrong_annotation_is_refused(wrong: dict[str, object]) -> None:
    given = {"id": 7, "feedback": ID, "annotator": "2", "completed": datetime(2026, 11, 24, tzinfo=UTC)}
    right = given | {"words": Words(caption="Hi")}
    assert Annotation.model_validate(right).unusable is None
    with pytest.raises(ValidationError):
        Annotation.model_validate(right | wrong)


@pytest.mark.parametrize(
    "wrong", [{"id": "x/../y"}, {"creator": "me"}, {"photo": "b" * 63}, {"rating": 6}, {"tone": "loud"}, {"more": 1}]
)
def test_what_is_wrong_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        feedback(**wrong)
