"""Readers for the feedback store: records, annotations and photos, never erased ones."""

import json
from collections.abc import Iterable, Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from snap2caption.feedback import Annotation, Feedback, is_record_key, photo_key
from snap2caption.names import is_feedback_id
from snap2caption.store import ObjectStore
from snap2caption.store.documents import read_object, read_objects

Model = TypeVar("Model", bound=BaseModel)


def erased(store: ObjectStore) -> set[str]:
    """Return the ids of erased feedback."""
    return {name for found in store.list("erased/") if is_feedback_id(name := id_of(found.key))}


def record_keys(store: ObjectStore) -> Iterator[str]:
    """Yield the keys of the existing records."""
    return (found.key for found in store.list("records/") if is_record_key(found.key))


def annotation_keys(store: ObjectStore) -> dict[str, list[str]]:
    """Return the keys of the annotations, by feedback id."""
    found: dict[str, list[str]] = {}
    for info in store.list("annotations/"):
        feedback = info.key.split("/")[1]
        if is_feedback_id(feedback):
            found.setdefault(feedback, []).append(info.key)
    return found


def read_records(store: ObjectStore, keys: Iterable[str]) -> list[Feedback]:
    """Return the feedback under *keys*, sorted by id. An invalid record is skipped: one bad object must not
    stop the loop.
    """
    return sorted(_read_all(store, keys, Feedback), key=lambda feedback: feedback.id)


def read_annotations(store: ObjectStore, keys: Iterable[str]) -> list[Annotation]:
    """Return the annotations under *keys*, sorted by number; invalid ones are skipped."""
    return sorted(_read_all(store, keys, Annotation), key=lambda annotation: annotation.id)


def read_photo(store: ObjectStore, feedback: Feedback) -> bytes | None:
    """Return the feedback's photo, or None if it is gone."""
    return read_object(store, photo_key(feedback.photo))


def _read_all(store: ObjectStore, keys: Iterable[str], kind: type[Model]) -> Iterator[Model]:
    for data in read_objects(store, keys):
        if data is not None and (found := parse(data, kind)) is not None:
            yield found


def parse(data: bytes, kind: type[Model]) -> Model | None:
    """Return the document in *data*, or None if it is invalid."""
    try:
        return kind.model_validate(json.loads(data))
    except (ValidationError, ValueError):
        return None


def id_of(key: str) -> str:
    """Return the id of the feedback from the key of its record or of its erasure."""
    return key.rpartition("/")[2].removesuffix(".json")
