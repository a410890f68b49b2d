"""Feedback repository in the object store: every operation may be interrupted anywhere and repeated."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

from snap2caption.feedback import (
    ERASURES,
    Departure,
    Erasure,
    Feedback,
    Pointer,
    annotations_prefix,
    departure_key,
    erasure_key,
    owner_of,
    photo_key,
    pointer_key,
    pointers_prefix,
    record_key,
    use_key,
    uses_prefix,
)
from snap2caption.names import is_feedback_id
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document, read_object


def deliver(store: ObjectStore, feedback: Feedback, photo: bytes) -> None:
    """Put a feedback with its photo, unless it was erased or another machine has put the same submission.

    The pointer is put first, so that an erasure finds everything. The record is put last, so that every record has its
    photo.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    if _is_erased(store, feedback):
        return
    pointer = Pointer(record=record_key(feedback), photo=feedback.photo, received=feedback.received)
    existing = _pointer(store, feedback.creator, feedback.id)
    if existing is not None and existing.record != pointer.record:
        return
    put_document(store, pointer_key(feedback.creator, feedback.id), pointer)
    store.put(use_key(feedback.photo, feedback.id), b"", sha256=hashlib.sha256().hexdigest())
    if not store.exists(photo_key(feedback.photo), feedback.photo):
        store.put(photo_key(feedback.photo), photo, sha256=feedback.photo)
    put_document(store, pointer.record, feedback)
    if _is_erased(store, feedback):
        # The erasure was requested on another machine in the meantime.
        erase(store, feedback.creator, feedback.id)


def erase(store: ObjectStore, creator: str, identifier: str) -> None:
    """Delete every copy of a creator's feedback, and leave an erasure record. Repeating it changes nothing.

    The erasure record is put first: from then on, nothing puts, samples or trains on the feedback. The pointer is
    deleted last.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    if not store.exists(erasure_key(identifier)):
        erasure = Erasure(id=identifier, erased=datetime.now(UTC), owner=owner_of(identifier, creator))
        put_document(store, erasure_key(identifier), erasure)
    pointer = _pointer(store, creator, identifier)
    if pointer is not None:
        _erase_content(store, pointer, identifier)
    # This also removes what a killed process may have left of a pointer that was never completed.
    store.delete(pointer_key(creator, identifier))


def _erase_content(store: ObjectStore, pointer: Pointer, identifier: str) -> None:
    store.delete(pointer.record)
    for annotation in list(store.list(annotations_prefix(identifier))):
        store.delete(annotation.key)
    store.delete(use_key(pointer.photo, identifier))
    _drop_photo(store, pointer.photo)


def move(store: ObjectStore, former: Mapping[str, str]) -> int:
    """Change the creators' ids in the store.

    The new pointer is put before the record is changed, and the old pointer is deleted last. If this is interrupted,
    the next call finds the old pointer and repeats the step. Feedback that was due for erasure is erased.

    Args:
        store: the feedback store.
        former: maps each old id to the new one.

    Returns:
        How many feedbacks were moved.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    moved = 0
    for before, now in former.items():
        departed = _departure(store, before)
        if departed is not None:
            record_departure(store, now, departed.timestamp())
        for identifier in _ids(store, before):
            _move(store, identifier, before, now)
            moved += 1
    for found in list(store.list(ERASURES)):
        content = read_object(store, found.key)
        erasure = None if content is None else Erasure.model_validate_json(content)
        for before, now in former.items():
            if erasure and erasure.owner == owner_of(erasure.id, before):
                put_document(store, found.key, erasure.model_copy(update={"owner": owner_of(erasure.id, now)}))
    return moved


def _move(store: ObjectStore, identifier: str, before: str, now: str) -> None:
    pointer = _pointer(store, before, identifier)
    if pointer is None:
        return
    put_document(store, pointer_key(now, identifier), pointer)
    content = read_object(store, pointer.record)
    record = None if content is None else Feedback.model_validate_json(content)
    if record is not None and record.creator == before:
        record = record.model_copy(update={"creator": now})
        put_document(store, pointer.record, record)
    if store.exists(erasure_key(identifier)) or (record is not None and _is_erased(store, record)):
        erase(store, now, identifier)
    store.delete(pointer_key(before, identifier))


def is_owned(store: ObjectStore, creator: str, identifier: str) -> bool:
    """Return whether the feedback is the creator's, or was until it was erased.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    if store.exists(pointer_key(creator, identifier)):
        return True
    erased = read_object(store, erasure_key(identifier))
    return erased is not None and Erasure.model_validate_json(erased).owner == owner_of(identifier, creator)


def record_departure(store: ObjectStore, creator: str, asked: float) -> None:
    """Record that a creator had all feedback erased that they had sent until *asked* (seconds since the epoch).

    From then on, nothing puts such feedback. Call this before listing what the store has.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    departed, previous = datetime.fromtimestamp(asked, UTC), _departure(store, creator)
    if previous is None or previous < departed:
        put_document(store, departure_key(creator), Departure(asked=departed))


def is_known(store: ObjectStore, creator: str) -> bool:
    """Return whether the store has any feedback of a creator, or the record that all of it was erased.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    return any(True for _ in store.list(pointers_prefix(creator))) or store.exists(departure_key(creator))


def list_ids(store: ObjectStore, creator: str, before: float) -> list[str]:
    """Return the ids of a creator's feedback that was received until *before* (seconds since the epoch).

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    pointers = {identifier: _pointer(store, creator, identifier) for identifier in _ids(store, creator)}
    return [
        identifier for identifier, pointer in pointers.items() if pointer and pointer.received.timestamp() <= before
    ]


def _ids(store: ObjectStore, creator: str) -> list[str]:
    keys = [found.key for found in store.list(pointers_prefix(creator))]
    ids = (key.removeprefix(pointers_prefix(creator)).removesuffix(".json") for key in keys)
    return [identifier for identifier in ids if is_feedback_id(identifier)]


def _is_erased(store: ObjectStore, feedback: Feedback) -> bool:
    """Return whether the creator had this feedback, or all of theirs, erased."""
    if store.exists(erasure_key(feedback.id)):
        return True
    departed = _departure(store, feedback.creator)
    return departed is not None and feedback.received <= departed


def _departure(store: ObjectStore, creator: str) -> datetime | None:
    found = read_object(store, departure_key(creator))
    return None if found is None else Departure.model_validate_json(found).asked


def _drop_photo(store: ObjectStore, photo: str) -> None:
    """Delete the photo unless another feedback refers to it."""
    if any(True for _ in store.list(uses_prefix(photo))):
        return
    content = read_object(store, photo_key(photo))
    store.delete(photo_key(photo))
    # Another machine may have added a use just now, when the photo still existed. Put the photo back.
    if content is not None and any(True for _ in store.list(uses_prefix(photo))):
        store.put(photo_key(photo), content, sha256=photo)


def _pointer(store: ObjectStore, creator: str, identifier: str) -> Pointer | None:
    found = read_object(store, pointer_key(creator, identifier))
    return None if found is None else Pointer.model_validate_json(found)
