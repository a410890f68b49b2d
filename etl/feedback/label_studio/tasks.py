"""Tasks: one for each feedback that annotators are to see, and none for what was erased."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx

from etl.feedback.label_studio.photos import address, keep_storage
from etl.feedback.label_studio.project import PREFILLED, AnnotationProject
from etl.feedback.records import annotation_keys, erased
from snap2caption.feedback import Feedback, Words, photo_key
from snap2caption.names import is_feedback_id
from snap2caption.store import ObjectStore

_BATCH, _PAGE = 100, 500
_META = "feedback"


@dataclass(frozen=True, slots=True)
class PushResult:
    """How many tasks were created, and how many were there already."""

    created: int
    present: int


@dataclass(frozen=True, slots=True)
class _PushedTask:
    id: int
    annotations: int


def push(project: AnnotationProject, store: ObjectStore, feedbacks: Iterable[Feedback], photos_uri: str) -> PushResult:
    """Create a task for each feedback that has none and was not erased.

    Label Studio takes two tasks for the same feedback, so it is asked what is there before and after. Whoever creates last sees both, and
    removes one: two pushes at once, and one that was killed or whose answer was lost, leave a task each.

    Args:
        project: where to.
        store: where feedback is kept.
        feedbacks: any number of them, more than once if need be.
        photos_uri: where Label Studio finds what *store* holds.

    Raises:
        UserError: Label Studio or the store is away or refuses.
    """
    gone = erased(store)
    wanted = {feedback.id: feedback for feedback in feedbacks if feedback.id not in gone}
    if not wanted:
        return PushResult(0, 0)
    keep_storage(project, photos_uri)
    there = _list(project)
    missing = [feedback for key, feedback in wanted.items() if key not in there]
    rest = iter(missing)
    while batch := list(islice(rest, _BATCH)):
        tasks = [task(feedback, photos_uri) for feedback in batch]
        # Tasks and their predictions are one transaction of Label Studio's.
        project.client.projects.import_tasks(id=project.id, request=tasks)
    if missing:
        _remove_twins(project)
    return PushResult(len(missing), len(wanted) - len(missing))


def erase(project: AnnotationProject, store: ObjectStore) -> int:
    """Delete the tasks of erased feedback, with their annotations, from Label Studio, and what was pulled of them; return how many tasks.

    Where there are any, the project's export snapshots go too, which hold copies of all tasks. Their files stay on Label Studio's disk, whose
    API can't delete them: docs/operations.md tells the operator. Photos are not in Label Studio: it fetches them from the store for each look.
    """
    gone = erased(store)
    tasks = [task for key, found in _list(project).items() if key in gone for task in found]
    if tasks:
        # First: cut off in between, the tasks that are still there tell the next run.
        _delete_exports(project)
    for found in tasks:
        _delete(project, found)
    for feedback, keys in annotation_keys(store).items():
        for key in keys if feedback in gone else ():
            store.delete(key)
    return len(tasks)


def task(feedback: Feedback, photos_uri: str) -> dict[str, Any]:
    """Return what Label Studio is given of a feedback: the photo's address, a note, and the words to start from. Not who the creator is."""
    words = feedback.edited or feedback.shown
    predictions = []
    if words is not None:
        predictions = [{"model_version": PREFILLED, "score": feedback.confidence, "result": _prefilled(words)}]
    return {
        "data": {
            "photo": address(photos_uri, photo_key(feedback.photo)),
            "note": note(feedback),
            "model_version": feedback.model_version or "",
        },
        "meta": {_META: feedback.id},
        "predictions": predictions,
    }


def feedback_of(meta: Any) -> str:
    """Return the id of the feedback that a task's *meta* names; empty for a task that somebody else made, whatever it says there."""
    named = str(meta.get(_META, "")) if isinstance(meta, dict) else ""
    return named if is_feedback_id(named) else ""


def note(feedback: Feedback) -> str:
    """Return, in a few plain sentences, what the creator said."""
    said = []
    if feedback.location:
        said.append(f"Place: {feedback.location}.")
    if feedback.tone:
        said.append(f"Tone asked for: {feedback.tone.value}.")
    if feedback.rating:
        said.append(f"The creator rated the caption {feedback.rating} of 5.")
    if feedback.reason:
        said.append(f"Reason: {feedback.reason.value.replace('_', ' ')}.")
    if feedback.flagged:
        said.append("The creator asks for a person to look.")
    if feedback.edited and feedback.shown:
        said.append(f"The creator changed the words; shown was: {_text(feedback.shown)}")
    return " ".join(said) or "The creator said nothing more."


def _prefilled(words: Words) -> list[dict[str, Any]]:
    fields = {"caption": words.caption, "hashtags": _hashtags(words)}
    return [
        {"from_name": name, "to_name": "photo", "type": "textarea", "value": {"text": [text]}}
        for name, text in fields.items()
        if text
    ]


def _text(words: Words) -> str:
    return " ".join(part for part in (words.caption, _hashtags(words)) if part)


def _hashtags(words: Words) -> str:
    return " ".join(f"#{tag}" for tag in words.hashtags)


def _list(project: AnnotationProject) -> dict[str, list[_PushedTask]]:
    """Return the tasks by the feedback that they are for, the oldest first."""
    found: dict[str, list[_PushedTask]] = defaultdict(list)
    for task in project.client.tasks.list(project=project.id, fields="task_only", page_size=_PAGE, resolve_uri=False):
        if key := feedback_of(task.meta):
            found[key].append(_PushedTask(task.id, task.total_annotations or 0))
    return {key: sorted(tasks, key=lambda task: task.id) for key, tasks in found.items()}


def _remove_twins(project: AnnotationProject) -> None:
    for tasks in _list(project).values():
        # What somebody has annotated stays, whatever else there is.
        kept = next((task for task in tasks if task.annotations), tasks[0])
        for twin in tasks:
            if twin is not kept and not twin.annotations:
                _delete(project, twin)


def _delete_exports(project: AnnotationProject) -> None:
    exports = project.client.projects.exports
    # It lists the newest hundred.
    while found := [export.id for export in exports.list(project.id) if export.id is not None]:
        for number in found:
            with _gone_is_well():
                exports.delete(project.id, number)


def _delete(project: AnnotationProject, task: _PushedTask) -> None:
    with _gone_is_well():
        project.client.tasks.delete(str(task.id))


@contextmanager
def _gone_is_well() -> Iterator[None]:
    """Let pass that what was to be deleted is not there: another run, or a person, was faster."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except ApiError as error:
        if error.status_code != httpx.codes.NOT_FOUND:
            raise
