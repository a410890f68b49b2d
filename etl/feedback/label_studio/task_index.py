"""Task index: which tasks Label Studio holds for which feedback, without listing all of them on each run.

Label Studio remains the source of truth. The index is a snapshot of its list, kept in the store. A run lists only
tasks that are newer than the snapshot, and compares the total with Label Studio's own count. If they differ, a task
was deleted, and everything is listed again. So any snapshot is good, whichever of two runs wrote it last, and none
is needed.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from etl.feedback.label_studio.project import AnnotationProject
from snap2caption.formats.documents import StrictDocument
from snap2caption.names import FeedbackId, is_feedback_id
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document, read_object

TASK_INDEX = "label-studio/tasks.json"
"""Key of the snapshot. It refers to feedback by its id alone."""

_META = "feedback"
_PAGE = 500


class TaskIndex(StrictDocument):
    """The tasks of a project."""

    project: int
    last: int
    """The highest number of a task that was listed."""
    total: int
    """Number of tasks, those of other people included."""
    tasks: Mapping[FeedbackId, tuple[int, ...]]
    """The numbers of the tasks for each feedback, the oldest first."""


def read_tasks(project: AnnotationProject, store: ObjectStore) -> Mapping[str, tuple[int, ...]]:
    """Return the numbers of the project's tasks by feedback id, the oldest first.

    Raises:
        UserError: Label Studio or the store is unavailable or refuses.
    """
    known = _read(store, project.id)
    total = project.client.projects.get(project.id).task_number or 0
    found = _extended(known, _list(project, known.last))
    if found.total != total:
        found = _extended(_empty(project.id), _list(project, 0))
    if found != known:
        put_document(store, TASK_INDEX, found)
    return found.tasks


def task_meta(feedback: str) -> dict[str, str]:
    """Return a task's *meta*, which names its feedback."""
    return {_META: feedback}


def feedback_of(meta: Any) -> str:
    """Return the id of the feedback in a task's *meta*; empty for a task that somebody else created."""
    named = str(meta.get(_META, "")) if isinstance(meta, dict) else ""
    return named if is_feedback_id(named) else ""


def _empty(project: int) -> TaskIndex:
    return TaskIndex(project=project, last=0, total=0, tasks={})


def _read(store: ObjectStore, project: int) -> TaskIndex:
    content = read_object(store, TASK_INDEX)
    if content is None:
        return _empty(project)
    try:
        known = TaskIndex.model_validate_json(content)
    except ValidationError:
        return _empty(project)
    return known if known.project == project else _empty(project)


def _extended(known: TaskIndex, newer: Iterator[tuple[int, str]]) -> TaskIndex:
    tasks, last, total = dict(known.tasks), known.last, known.total
    for number, feedback in newer:
        last, total = max(last, number), total + 1
        if feedback:
            tasks[feedback] = tuple(sorted({*tasks.get(feedback, ()), number}))
    return TaskIndex(project=known.project, last=last, total=total, tasks=tasks)


def _list(project: AnnotationProject, after: int) -> Iterator[tuple[int, str]]:
    """Yield number and feedback of each task with a number above *after*; the feedback of a strange task is empty."""
    newer = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}
    query = {"filters": {"conjunction": "and", "items": [newer]}, "ordering": ["tasks:id"]}
    for task in project.client.tasks.list(
        project=project.id, fields="task_only", page_size=_PAGE, resolve_uri=False, query=json.dumps(query)
    ):
        yield task.id, feedback_of(task.meta)
