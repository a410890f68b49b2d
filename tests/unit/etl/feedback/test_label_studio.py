from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etl.feedback.label_studio.annotations import AnnotationError, read
from etl.feedback.label_studio.settings import AirflowSettings, LabelStudioSettings
from etl.feedback.label_studio.task_index import feedback_of
from etl.feedback.label_studio.tasks import note, task
from snap2caption.errors import UserError
from snap2caption.feedback import Feedback, Words
from snap2caption.settings import read_settings

pytestmark = pytest.mark.unit

ID = "0" * 31 + "1"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def feedback(**others: object) -> Feedback:
    given = {"id": ID, "creator": "a" * 64, "received": datetime(2026, 11, 24, tzinfo=UTC), "photo": "b" * 64}
    return Feedback.model_validate(given | others)


def annotation(**values: dict[str, Any]) -> dict[str, Any]:
    result = [{"from_name": name, "value": value} for name, value in values.items()]
    return {"id": 7, "completed_by": 2, "updated_at": "2026-11-24T10:00:00.5Z", "result": result}


def test_a_task_starts_from_the_creators_own_words() -> None:
    given = feedback(shown=Words(caption="Shown"), edited=Words(caption="Edited", hashtags=("a1",)), confidence=0.25)
    (prediction,) = task(given, "s3://b/feedback/")["predictions"]
    assert [part["value"]["text"] for part in prediction["result"]] == [["Edited"], ["#a1"]]
    assert prediction["score"] == 0.25


def test_without_words_a_task_starts_from_the_photo() -> None:
    made = task(feedback(), "s3://b/feedback/")
    assert made["predictions"] == []
    assert made["data"]["photo"] == f"s3://b/feedback/photos/bb/{'b' * 64}.jpg"
    assert made["meta"] == {"feedback": ID}


def test_the_note_tells_what_the_creator_said() -> None:
    given = feedback(rating=2, reason="wrong_place", flagged=True, shown=Words(caption="A"), edited=Words(caption="B"))
    assert note(given) == (
        "The creator rated the caption 2 of 5. Reason: wrong place. The creator asks for a person to look. "
        "The creator changed the words; shown was: A"
    )


def test_hashtags_come_from_their_field_then_the_caption() -> None:
    found = read(annotation(caption={"text": ["Hi", "there #Lake"]}, hashtags={"text": ["#B1 b1,#c2"]}), ID)
    assert found.words == Words(caption="Hi\nthere", hashtags=("b1", "c2", "lake"))
    assert found.completed == datetime(2026, 11, 24, 10, 0, 0, 500000, tzinfo=UTC)


def test_an_unusable_photo_needs_no_caption() -> None:
    assert read(annotation(unusable={"choices": ["broken"]}), ID).words == Words(caption="")


@example(value=[], result=[])
@given(value=JSON, result=JSON)
def test_whatever_comes_is_an_annotation_or_refused(value: Any, result: Any) -> None:
    for raw in (
        annotation(caption=value),
        annotation(caption={"text": ["a"]}, rating=value),
        annotation(caption={"text": ["a"]}, tone={"choices": value}),
        {**annotation(), "result": result},
    ):
        try:
            read(raw, ID)
        except AnnotationError:
            continue


@pytest.mark.parametrize(
    "meta", [None, "", [ID], {}, {"feedback": None}, {"feedback": "../x"}, {"feedback": ID + "\n"}]
)
def test_a_task_of_somebody_elses_is_for_no_feedback(meta: Any) -> None:
    assert feedback_of(meta) == ""
    assert feedback_of({"feedback": ID}) == ID


def test_the_token_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SNAP2CAPTION_LABEL_STUDIO_TOKEN", raising=False)
    with pytest.raises(UserError, match="No token for Label Studio"):
        read_settings(LabelStudioSettings).read_token()
    (tmp_path / "token").write_text("abc\n")
    monkeypatch.setenv("SNAP2CAPTION_LABEL_STUDIO_TOKEN_FILE", str(tmp_path / "token"))
    assert read_settings(LabelStudioSettings).read_token() == "abc"


def test_a_wrong_setting_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_SECRET", "short")
    with pytest.raises(UserError, match=r"^SNAP2CAPTION_LABEL_STUDIO_WEBHOOK_SECRET is wrong") as error:
        read_settings(LabelStudioSettings)
    assert "short" not in str(error.value).replace("should", "")
    monkeypatch.setenv("SNAP2CAPTION_AIRFLOW_URL", "airflow:8080")
    with pytest.raises(UserError, match=r"^SNAP2CAPTION_AIRFLOW_URL is wrong"):
        read_settings(AirflowSettings)
