from typing import TYPE_CHECKING, Any

import pytest

from etl.feedback.label_studio.annotations import CURSOR, PullResult, pull
from etl.feedback.label_studio.project import AnnotationProject
from etl.feedback.label_studio.tasks import PushResult, erase, push
from snap2caption.feedback import Annotation, Unusable, Words, record_key
from snap2caption.post import Tone

if TYPE_CHECKING:
    from conftest import Feedbacks

pytestmark = pytest.mark.integration


def result(**fields: Any) -> list[dict[str, Any]]:
    kinds = {"caption": ("textarea", "text"), "hashtags": ("textarea", "text"), "rating": ("rating", "rating")}
    return [
        {"from_name": name, "to_name": "photo", "type": kind, "value": {key: value}}
        for name, value in fields.items()
        for kind, key in [kinds.get(name, ("choices", "choices"))]
    ]


@pytest.fixture
def pushed(project: AnnotationProject, feedbacks: "Feedbacks") -> dict[str, int]:
    """Three tasks, by the feedback that they are for."""
    push(project, feedbacks.store, [record_key(feedbacks.add(number)) for number in (1, 2, 3)], feedbacks.uri)
    found = project.client.tasks.list(project=project.id, fields="task_only")
    return {task.meta["feedback"]: task.id for task in found}


def stored(feedbacks: "Feedbacks") -> dict[str, Annotation]:
    found = {}
    for item in list(feedbacks.store.list("annotations/")):
        with feedbacks.store.get(item.key) as stream:
            found[item.key] = Annotation.model_validate_json(stream.read())
    return found


def test_what_was_completed_is_stored_corrected_and_removed(
    project: AnnotationProject, feedbacks: "Feedbacks", pushed: dict[str, int]
) -> None:
    store, (feedback, task) = feedbacks.store, next(iter(pushed.items()))
    assert pull(project, store) == PullResult()
    made = project.client.annotations.create(
        id=task,
        result=result(
            caption=["<script>alert(1)</script> Lake <3\x00 #ChicagoRiver"], hashtags=["#Chicago, travel  travel #!"],
            rating=4, tone=["witty"],
        ),
    )  # fmt: skip
    key = f"annotations/{feedback}/{made.id}.json"
    assert pull(project, store).new == [key]
    assert pull(project, store) == PullResult()
    annotation = stored(feedbacks)[key]
    words = Words(caption="<script>alert(1)</script> Lake <3", hashtags=("chicago", "travel", "chicagoriver"))
    assert annotation == Annotation(
        id=made.id, feedback=feedback, annotator=str(made.completed_by), completed=annotation.completed,
        words=words, rating=4, tone=Tone.WITTY,
    )  # fmt: skip

    project.client.annotations.update(made.id, result=result(caption=["Better"], unusable=["private"]))
    assert pull(project, store).changed == [key]
    assert stored(feedbacks)[key].words.caption == "Better"
    assert stored(feedbacks)[key].unusable is Unusable.PRIVATE

    # A mark that was not written, as by a kill: all is looked at again, and nothing changes.
    store.delete(CURSOR)
    assert pull(project, store) == PullResult()

    project.client.annotations.delete(made.id)
    assert pull(project, store).removed == [key]
    assert stored(feedbacks) == {}


def test_what_can_not_be_learned_from_is_counted_and_not_stored(
    project: AnnotationProject, feedbacks: "Feedbacks", pushed: dict[str, int]
) -> None:
    first, second, third = pushed.values()
    create = project.client.annotations.create
    right = create(id=first, result=result(caption=["Right"]))
    create(id=second, result=result(caption=["x" * 2201]))
    create(id=second, result=result(caption=["#only #tags"]))
    create(id=third, result=result(caption=["a"], hashtags=[" ".join(f"#tag{number}" for number in range(31))]))
    create(id=third, result=result(caption=["a"], tone=["loud"]))
    create(id=third, result=result(caption=["skipped"]), was_cancelled=True)
    pulled = pull(project, feedbacks.store)
    assert len(pulled.new) == 1
    assert pulled.refused == {"caption_too_long": 1, "no_caption": 1, "too_many_hashtags": 1, "malformed": 1}
    # What was right and is so no longer goes.
    project.client.annotations.update(right.id, result=result(caption=[" "]))
    assert pull(project, feedbacks.store).removed == pulled.new


def test_tasks_that_somebody_else_made_stop_nothing(
    project: AnnotationProject, feedbacks: "Feedbacks", pushed: dict[str, int]
) -> None:
    data = {"photo": "x", "note": "", "model_version": ""}
    strange: list[dict[str, Any]] = [{"data": data, "meta": {"feedback": "../x"}}, {"data": data}]
    project.client.projects.import_tasks(id=project.id, request=strange)
    for task in list(project.client.tasks.list(project=project.id, fields="task_only")):
        project.client.annotations.create(
            id=task.id, result=result(caption=["Right"], tone=[] if task.id in pushed.values() else ["witty"])
        )
    assert pull(project, feedbacks.store).refused == {"malformed": len(pushed)}
    assert push(project, feedbacks.store, [record_key(feedbacks.add(1))], feedbacks.uri) == PushResult(0, 1)
    feedbacks.erase(next(iter(pushed)))
    assert erase(project, feedbacks.store) == 1


def test_of_what_was_erased_nothing_is_pulled(
    project: AnnotationProject, feedbacks: "Feedbacks", pushed: dict[str, int]
) -> None:
    feedback, task = next(iter(pushed.items()))
    project.client.annotations.create(id=task, result=result(caption=["Gone"]))
    feedbacks.erase(feedback)
    assert pull(project, feedbacks.store) == PullResult()
