"""How feedback comes into the store, and out of it: in an order that can be cut off anywhere and done again."""

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


def move(store: ObjectStore, former: Mapping[str, str]) -> int:
    """Give what is stored of creators to the ids that they have now (*former*: from those that they had); return how much feedback there was.

    A new pointer is put before the record is changed, and the old one goes last: cut off anywhere, it is found and done again.
    What was to be erased is erased.

    Raises:
        StoreError: the store is away or refuses.
    """
    moved = 0
    for before, now in former.items():
        left = _departure(store, before)
        if left is not None:
            note_departure(store, now, left.timestamp())
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
    if store.exists(erasure_key(identifier)) or (record is not None and _is_unwanted(store, record)):
        erase(store, now, identifier)
    store.delete(pointer_key(before, identifier))


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
    """Note that a creator wanted all erased that they had sent until then (seconds of the epoch).

    From then on nobody puts any of it. So this comes before looking for what the store has of theirs.

    Raises:
        StoreError: the store is away or refuses.
    """
    when, before = datetime.fromtimestamp(asked, UTC), _departure(store, creator)
    if before is None or before < when:
        put_document(store, departure_key(creator), Departure(asked=when))


def is_known(store: ObjectStore, creator: str) -> bool:
    """Whether the store has anything of a creator, or the record that they had all erased.

    Raises:
        StoreError: the store is away or refuses.
    """
    return any(True for _ in store.list(pointers_prefix(creator))) or store.exists(departure_key(creator))


def of_creator(store: ObjectStore, creator: str, before: float) -> list[str]:
    """Return the ids of all that the store has of a creator, received before that time (of the epoch).

    Raises:
        StoreError: the store is away or refuses.
    """
    pointers = {identifier: _pointer(store, creator, identifier) for identifier in _ids(store, creator)}
    return [
        identifier for identifier, pointer in pointers.items() if pointer and pointer.received.timestamp() <= before
    ]


def _ids(store: ObjectStore, creator: str) -> list[str]:
    keys = [found.key for found in store.list(pointers_prefix(creator))]
    ids = (key.removeprefix(pointers_prefix(creator)).removesuffix(".json") for key in keys)
    return [identifier for identifier in ids if is_feedback_id(identifier)]


def _is_unwanted(store: ObjectStore, feedback: Feedback) -> bool:
    """Whether its creator had the feedback erased, alone or with all of theirs."""
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
