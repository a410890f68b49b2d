"""Label Studio tasks: one per feedback that annotators should see, and none for erased feedback."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx

from etl.feedback.label_studio.photos import address, keep_storage
from etl.feedback.label_studio.project import PREFILLED, AnnotationProject
from etl.feedback.label_studio.task_index import read_tasks, task_meta
from etl.feedback.records import annotation_keys, erased, id_of, read_records
from snap2caption.feedback import Feedback, Words, photo_key
from snap2caption.store import ObjectStore

_BATCH = 100


@dataclass(frozen=True, slots=True)
class PushResult:
    """Number of tasks that were created, and that existed already."""

    created: int
    present: int


def push(project: AnnotationProject, store: ObjectStore, records: Iterable[str], photos_uri: str) -> PushResult:
    """Create a task for each feedback that has none and was not erased. Only their records are read.

    Label Studio accepts several tasks for the same feedback, so it is asked for new tasks before and after. The last
    creator sees both and removes one: concurrent pushes, and a push that was killed or whose response was lost,
    leave one task each.

    Args:
        project: the project to push to.
        store: the feedback store.
        records: keys of any number of records; repetitions are allowed, and invalid records are skipped.
        photos_uri: where Label Studio reads the objects in *store*.

    Raises:
        UserError: Label Studio or the store is unavailable or refuses.
    """
    gone = erased(store)
    wanted = {identifier: key for key in records if (identifier := id_of(key)) not in gone}
    if not wanted:
        return PushResult(0, 0)
    keep_storage(project, photos_uri)
    there = read_tasks(project, store)
    missing = [key for identifier, key in wanted.items() if identifier not in there]
    rest, created = iter(missing), 0
    while batch := list(islice(rest, _BATCH)):
        tasks = [task(feedback, photos_uri) for feedback in read_records(store, batch)]
        if tasks:
            # Label Studio imports tasks and their predictions in one transaction.
            project.client.projects.import_tasks(id=project.id, request=tasks)
            created += len(tasks)
    if missing:
        _remove_duplicates(project, store)
    return PushResult(created, len(wanted) - len(missing))


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
    tasks = [number for key, found in read_tasks(project, store).items() if key in gone for number in found]
    if tasks:
        # Exports first: after an interruption, the remaining tasks show the next run what is left.
        _delete_exports(project)
    for number in tasks:
        _delete(project, number)
    if tasks:
        read_tasks(project, store)  # the index forgets them, too
    store.delete_all([key for feedback, keys in annotation_keys(store).items() if feedback in gone for key in keys])
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
        "meta": task_meta(feedback.id),
        "predictions": predictions,
    }


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


def _remove_duplicates(project: AnnotationProject, store: ObjectStore) -> None:
    for tasks in read_tasks(project, store).values():
        if len(tasks) == 1:
            continue
        annotated = {number for number in tasks if _is_annotated(project, number)}
        # A task with annotations is always kept.
        for duplicate in {*tasks} - annotated - ({tasks[0]} if not annotated else set()):
            _delete(project, duplicate)


def _is_annotated(project: AnnotationProject, number: int) -> bool:
    with _ignore_missing():
        return bool(project.client.tasks.get(str(number)).total_annotations)
    return False


def _delete_exports(project: AnnotationProject) -> None:
    exports = project.client.projects.exports
    # The API lists the newest hundred.
    while found := [export.id for export in exports.list(project.id) if export.id is not None]:
        for number in found:
            with _ignore_missing():
                exports.delete(project.id, number)


def _delete(project: AnnotationProject, number: int) -> None:
    with _ignore_missing():
        project.client.tasks.delete(str(number))


@contextmanager
def _ignore_missing() -> Iterator[None]:
    """Ignore that an object to delete does not exist: another run, or a person, was faster."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except ApiError as error:
        if error.status_code != httpx.codes.NOT_FOUND:
            raise
