"""Label Studio tasks: one per feedback that annotators should see, and none for erased feedback."""

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
    """Number of tasks that were created, and that existed already."""

    created: int
    present: int


@dataclass(frozen=True, slots=True)
class _PushedTask:
    id: int
    annotations: int


def push(project: AnnotationProject, store: ObjectStore, feedbacks: Iterable[Feedback], photos_uri: str) -> PushResult:
    """Create a task for each feedback that has none and was not erased.

    Label Studio accepts several tasks for the same feedback, so its tasks are listed before and after. The last
    creator sees both and removes one: concurrent pushes, and a push that was killed or whose response was lost,
    leave one task each.

    Args:
        project: the project to push to.
        store: the feedback store.
        feedbacks: any number of them; repetitions are allowed.
        photos_uri: where Label Studio reads the objects in *store*.

    Raises:
        UserError: Label Studio or the store is unavailable or refuses.
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
        # Label Studio imports tasks and their predictions in one transaction.
        project.client.projects.import_tasks(id=project.id, request=tasks)
    if missing:
        _remove_duplicates(project)
    return PushResult(len(missing), len(wanted) - len(missing))


def erase(project: AnnotationProject, store: ObjectStore) -> int:
    """Delete the tasks of erased feedback with their annotations from Label Studio, and the annotations pulled
    from them.

    If there are any such tasks, the project's export snapshots are deleted too, as they hold copies of all
    tasks. Their files remain on Label Studio's disk, and its API can't delete them: docs/operations.md explains
    what the operator does. Photos are not in Label Studio: it reads them from the store for each view.

    Returns:
        The number of deleted tasks.
    """
    gone = erased(store)
    tasks = [task for key, found in _list(project).items() if key in gone for task in found]
    if tasks:
        # Exports first: after an interruption, the remaining tasks show the next run what is left.
        _delete_exports(project)
    for found in tasks:
        _delete(project, found)
    for feedback, keys in annotation_keys(store).items():
        for key in keys if feedback in gone else ():
            store.delete(key)
    return len(tasks)


def task(feedback: Feedback, photos_uri: str) -> dict[str, Any]:
    """Return the task for a feedback: the photo's address, a note, and the words to start from.

    The creator's identity is not included.
    """
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
    """Return the id of the feedback in a task's *meta*; empty for a task that somebody else created."""
    named = str(meta.get(_META, "")) if isinstance(meta, dict) else ""
    return named if is_feedback_id(named) else ""


def note(feedback: Feedback) -> str:
    """Return the creator's feedback in a few plain sentences."""
    sentences = []
    if feedback.location:
        sentences.append(f"Place: {feedback.location}.")
    if feedback.tone:
        sentences.append(f"Tone asked for: {feedback.tone.value}.")
    if feedback.rating:
        sentences.append(f"The creator rated the caption {feedback.rating} of 5.")
    if feedback.reason:
        sentences.append(f"Reason: {feedback.reason.value.replace('_', ' ')}.")
    if feedback.flagged:
        sentences.append("The creator asks for a person to look.")
    if feedback.edited and feedback.shown:
        sentences.append(f"The creator changed the words; shown was: {_text(feedback.shown)}")
    return " ".join(sentences) or "The creator said nothing more."


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
    """Return the tasks by feedback id, the oldest first."""
    found: dict[str, list[_PushedTask]] = defaultdict(list)
    for task in project.client.tasks.list(project=project.id, fields="task_only", page_size=_PAGE, resolve_uri=False):
        if key := feedback_of(task.meta):
            found[key].append(_PushedTask(task.id, task.total_annotations or 0))
    return {key: sorted(tasks, key=lambda task: task.id) for key, tasks in found.items()}


def _remove_duplicates(project: AnnotationProject) -> None:
    for tasks in _list(project).values():
        # A task with annotations is always kept.
        kept = next((task for task in tasks if task.annotations), tasks[0])
        for duplicate in tasks:
            if duplicate is not kept and not duplicate.annotations:
                _delete(project, duplicate)


def _delete_exports(project: AnnotationProject) -> None:
    exports = project.client.projects.exports
    # The API lists the newest hundred.
    while found := [export.id for export in exports.list(project.id) if export.id is not None]:
        for number in found:
            with _ignore_missing():
                exports.delete(project.id, number)


def _delete(project: AnnotationProject, task: _PushedTask) -> None:
    with _ignore_missing():
        project.client.tasks.delete(str(task.id))


@contextmanager
def _ignore_missing() -> Iterator[None]:
    """Ignore that an object to delete does not exist: another run, or a person, was faster."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except ApiError as error:
        if error.status_code != httpx.codes.NOT_FOUND:
            raise
