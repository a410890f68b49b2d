"""Annotation pull: validates and stores completed annotations, each once."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from etl.feedback.label_studio.project import AnnotationProject
from etl.feedback.label_studio.task_index import feedback_of
from etl.feedback.records import annotation_keys, erased
from snap2caption import hashtags
from snap2caption.feedback import MAX_CAPTION, MAX_HASHTAGS, Annotation, Words, annotation_key
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document, read_object

CURSOR = "label-studio/cursor.json"
"""Key of the time up to which annotations were pulled."""

_ANNOTATED_PAGE, _BARE_PAGE = 100, 500
_OVERLAP = timedelta(minutes=5)
"""Overlap between pulls: a change is dated by its start, but becomes visible when it is done."""

_Filter = dict[str, Any]
_ANNOTATED: _Filter = {"filter": "filter:tasks:total_annotations", "operator": "greater", "type": "Number", "value": 0}
_BARE: _Filter = _ANNOTATED | {"operator": "equal"}


class _Cursor(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    project: int
    updated: datetime


@dataclass(slots=True)
class PullResult:
    """Keys that a pull changed in the store, and the number of annotations it refused, by reason."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class AnnotationError(Exception):
    """An annotation is unusable; the message is a short reason code for counting."""


def pull(project: AnnotationProject, store: ObjectStore) -> PullResult:
    """Store the annotations that were completed, corrected or deleted since the last pull.

    This queries the tasks that changed since then, and makes the store match Label Studio. The store's annotations
    are listed once. The cursor is written last, so a killed pull is repeated, which does not change correct data.

    Raises:
        UserError: Label Studio or the store is unavailable or refuses.
    """
    pulled, held, gone = PullResult(), None, set[str]()
    since, begun = _read_cursor(store, project.id), _clock(project)
    latest = since
    for task in _changed(project, since):
        if held is None:
            gone, held = erased(store), annotation_keys(store)
        # All that changed before the overlap was visible to this pull.
        latest = max(found for found in (latest, task.updated, begun and begun - _OVERLAP) if found is not None)
        if task.feedback not in gone:
            _store(project, store, task, held, pulled)
    if latest is not None and latest != since:
        put_document(store, CURSOR, _Cursor(project=project.id, updated=latest))
    return pulled


def read(annotation: dict[str, Any], feedback: str) -> Annotation:
    """Validate an annotation from Label Studio's API.

    Text is plain text, whatever characters it holds: control characters are removed here, and templates escape it.

    Raises:
        AnnotationError: no caption, too long a caption, too many hashtags, or malformed.
    """
    try:
        fields = {result["from_name"]: result["value"] for result in annotation["result"]}
        text = _clean(fields.get("caption", {}).get("text", []))
        tag_line = _clean(fields.get("hashtags", {}).get("text", []))
        prose, inline = hashtags.separate(text)
        tags = hashtags.unique([*tag_line.replace("#", " ").replace(",", " ").split(), *inline])
        unusable = _choice(fields.get("unusable"))
        if not prose and unusable is None:
            raise AnnotationError("no_caption")
        if len(prose) > MAX_CAPTION:
            raise AnnotationError("caption_too_long")
        if len(tags) > MAX_HASHTAGS:
            raise AnnotationError("too_many_hashtags")
        return Annotation(
            id=annotation["id"],
            feedback=feedback,
            annotator=str(annotation["completed_by"]),
            completed=datetime.fromisoformat(annotation["updated_at"]).astimezone(UTC),
            words=Words(caption=prose, hashtags=tuple(tags)),
            rating=fields.get("rating", {}).get("rating"),
            unusable=unusable,
            tone=_choice(fields.get("tone")),
        )
    except (LookupError, TypeError, AttributeError, ValueError, ValidationError) as error:
        raise AnnotationError("malformed") from error


@dataclass(frozen=True, slots=True)
class _ChangedTask:
    id: int
    feedback: str
    updated: datetime
    annotations: list[dict[str, Any]] | None
    """None: no annotation counts, but there may be skipped ones."""


def _changed(project: AnnotationProject, since: datetime | None) -> Iterator[_ChangedTask]:
    """Yield our tasks that changed since then.

    Tasks without annotations come in large pages without content: after a bulk push there are thousands of them.
    """
    for fields, size, kind in (("all", _ANNOTATED_PAGE, _ANNOTATED), ("task_only", _BARE_PAGE, _BARE)):
        for task in _query(project, since, kind, fields, size):
            if feedback := feedback_of(task.meta):
                annotations = None if kind is _BARE else _plain(task)
                yield _ChangedTask(task.id, feedback, _time(task.updated_at), annotations)


def _query(project: AnnotationProject, since: datetime | None, kind: _Filter, fields: Any, size: int) -> Iterator[Any]:
    """Yield tasks of a *kind* that changed since then, the most recently changed first.

    In this order, a task that changes during paging appears again or in the next pull. In the other order it
    would push another task off the page.
    """
    filters = [kind]
    if since is not None:
        begin = (since - _OVERLAP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        filters.append({"filter": "filter:tasks:updated_at", "operator": "greater", "type": "Datetime", "value": begin})
    query = {"ordering": ["-tasks:updated_at"], "filters": {"conjunction": "and", "items": filters}}
    yield from project.client.tasks.list(
        project=project.id, fields=fields, page_size=size, resolve_uri=False, query=json.dumps(query)
    )


def _store(
    project: AnnotationProject,
    store: ObjectStore,
    task: _ChangedTask,
    held: Mapping[str, Sequence[str]],
    pulled: PullResult,
) -> None:
    """Make the store match *task*. *held* are the keys of the annotations that the store has, by feedback."""
    there, current, annotations = held.get(task.feedback, ()), set(), task.annotations
    if annotations is None:
        annotations = _plain(project.client.tasks.get(str(task.id))) if there else []
    for raw in annotations:
        # Skipped tasks were not completed.
        if raw["was_cancelled"]:
            continue
        try:
            annotation = read(raw, task.feedback)
        except AnnotationError as error:
            pulled.refused[str(error)] += 1
            continue
        key = annotation_key(task.feedback, annotation.id)
        current.add(key)
        content = annotation.model_dump_json().encode()
        digest = hashlib.sha256(content).hexdigest()
        if key not in there or not store.exists(key, digest):
            (pulled.changed if key in there else pulled.new).append(key)
            store.put(key, content, sha256=digest)
    here = {annotation_key(task.feedback, raw["id"]) for raw in annotations}
    for key in there:
        if key not in current and (key in here or not _exists(project, key)):
            store.delete(key)
            pulled.removed.append(key)


def _exists(project: AnnotationProject, key: str) -> bool:
    """Whether Label Studio still has the annotation, which another task of the same feedback may hold."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        project.client.annotations.get(int(key.rpartition("/")[2].removesuffix(".json")))
    except ApiError as error:
        if error.status_code == httpx.codes.NOT_FOUND:
            return False
        raise
    return True


def _clock(project: AnnotationProject) -> datetime | None:
    """Return the time by the clock of Label Studio's server, which dates changes; None if it does not say."""
    answer = project.client.projects.with_raw_response.get(project.id)
    stated = answer.headers.get("date")
    return parsedate_to_datetime(stated) if stated else None


def _read_cursor(store: ObjectStore, project: int) -> datetime | None:
    """Return the time up to which this project's annotations were pulled; None: never."""
    content = read_object(store, CURSOR)
    if content is None:
        return None
    cursor = _Cursor.model_validate_json(content)
    return cursor.updated if cursor.project == project else None


def _clean(lines: str | list[str]) -> str:
    """Return the lines as one text, without control characters except line breaks."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    return "".join(char for char in text if char == "\n" or unicodedata.category(char) != "Cc").strip()


def _choice(value: dict[str, Any] | None) -> Any:
    return value["choices"][0] if value else None


def _time(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _plain(task: Any) -> list[dict[str, Any]]:
    """Return a task's annotations as in the REST API; the client parses one into a model if it knows the form."""
    return [found if isinstance(found, dict) else json.loads(found.json()) for found in task.annotations or ()]
