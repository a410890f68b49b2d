"""How feedback comes into the store, and out of it: in an order that can be cut off anywhere and done again."""

import hashlib
from datetime import UTC, datetime

from snap2caption.feedback import (
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

    The record comes last: whoever finds it finds the photo. The pointer comes first: whatever was put is found by an erasure.

    Raises:
        StoreError: the store is away or refuses.
    """
    if _is_unwanted(store, feedback):
        return
    pointer = Pointer(record=record_key(feedback), photo=feedback.photo, received=feedback.received)
    there = _pointer(store, feedback.creator, feedback.id)
    if there is not None and there.record != pointer.record:
        return
    put_document(store, pointer_key(feedback.creator, feedback.id), pointer)
    store.put(use_key(feedback.photo, feedback.id), b"", sha256=hashlib.sha256().hexdigest())
    if not store.exists(photo_key(feedback.photo), feedback.photo):
        store.put(photo_key(feedback.photo), photo, sha256=feedback.photo)
    put_document(store, pointer.record, feedback)
    if _is_unwanted(store, feedback):
        # Asked for on another machine meanwhile.
        erase(store, feedback.creator, feedback.id)


def erase(store: ObjectStore, creator: str, identifier: str) -> None:
    """Remove every copy of a creator's feedback, and leave the record that it was done; doing it again changes nothing.

    That record comes first: from then on nobody puts, samples or learns from the feedback any more. The pointer goes last.

    Raises:
        StoreError: the store is away or refuses.
    """
    if not store.exists(erasure_key(identifier)):
        erasure = Erasure(id=identifier, erased=datetime.now(UTC), owner=owner_of(identifier, creator))
        put_document(store, erasure_key(identifier), erasure)
    pointer = _pointer(store, creator, identifier)
    if pointer is not None:
        _erase_content(store, pointer, identifier)
    # And what a kill may have left of a pointer that never came to be.
    store.delete(pointer_key(creator, identifier))


def _erase_content(store: ObjectStore, pointer: Pointer, identifier: str) -> None:
    store.delete(pointer.record)
    for annotation in list(store.list(annotations_prefix(identifier))):
        store.delete(annotation.key)
    store.delete(use_key(pointer.photo, identifier))
    _drop_photo(store, pointer.photo)


def is_owned(store: ObjectStore, creator: str, identifier: str) -> bool:
    """Whether the feedback is, or was until it was erased, the creator's.

    Raises:
        StoreError: the store is away or refuses.
    """
    if store.exists(pointer_key(creator, identifier)):
        return True
    erased = read_object(store, erasure_key(identifier))
    return erased is not None and Erasure.model_validate_json(erased).owner == owner_of(identifier, creator)


def note_departure(store: ObjectStore, creator: str, asked: float) -> None:
    """Note that a creator wanted all erased that she had sent until then (seconds of the epoch).

    From then on nobody puts any of it. So this comes before looking for what the store has of hers.

    Raises:
        StoreError: the store is away or refuses.
    """
    when, before = datetime.fromtimestamp(asked, UTC), _departure(store, creator)
    if before is None or before < when:
        put_document(store, departure_key(creator), Departure(asked=when))


def of_creator(store: ObjectStore, creator: str, before: float) -> list[str]:
    """Return the ids of all that the store has of a creator, received before that time (of the epoch).

    Raises:
        StoreError: the store is away or refuses.
    """
    keys = [found.key for found in store.list(pointers_prefix(creator))]
    ids = [key.removeprefix(pointers_prefix(creator)).removesuffix(".json") for key in keys]
    pointers = {identifier: _pointer(store, creator, identifier) for identifier in ids if is_feedback_id(identifier)}
    return [
        identifier for identifier, pointer in pointers.items() if pointer and pointer.received.timestamp() <= before
    ]


def _is_unwanted(store: ObjectStore, feedback: Feedback) -> bool:
    """Whether its creator had the feedback erased, alone or with all of hers."""
    if store.exists(erasure_key(feedback.id)):
        return True
    left = _departure(store, feedback.creator)
    return left is not None and feedback.received <= left


def _departure(store: ObjectStore, creator: str) -> datetime | None:
    found = read_object(store, departure_key(creator))
    return None if found is None else Departure.model_validate_json(found).asked


def _drop_photo(store: ObjectStore, photo: str) -> None:
    """Delete the photo unless another feedback refers to it."""
    if any(True for _ in store.list(uses_prefix(photo))):
        return
    content = read_object(store, photo_key(photo))
    store.delete(photo_key(photo))
    # Another machine may just have noted a use and found the photo there.
    if content is not None and any(True for _ in store.list(uses_prefix(photo))):
        store.put(photo_key(photo), content, sha256=photo)


def _pointer(store: ObjectStore, creator: str, identifier: str) -> Pointer | None:
    found = read_object(store, pointer_key(creator, identifier))
    return None if found is None else Pointer.model_validate_json(found)
