"""Feedback repository in the object store: whose feedback there is, and who had theirs erased."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice

from pydantic import ValidationError

from serving.feedback.daemon_threads import Mapper, serially
from serving.feedback.store.erasure import ErasureRequest, erase, read_pointer
from serving.feedback.store.photo_locks import PhotoLocks
from snap2caption.feedback import (
    ERASURES,
    Departure,
    Erasure,
    Feedback,
    departure_key,
    erasure_key,
    owner_of,
    pointer_key,
    pointers_prefix,
)
from snap2caption.names import is_feedback_id
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document, read_object

_PAGE = 1000
"""Pointers that are read at a time."""

_MOST_SKEWED = 3600.0
"""Seconds by which the store's clock may be behind ours. S3 refuses requests beyond a quarter of an hour."""


def move(store: ObjectStore, former: Mapping[str, str], photos: PhotoLocks) -> int:
    """Change the creators' ids in the store.

    The new pointer is put before the record is changed, and the old pointer is deleted last. If this is interrupted,
    the next call finds the old pointer and repeats the step. Feedback that was due for erasure is erased.

    Args:
        store: the feedback store.
        former: maps each old id to the new one.
        photos: the locks that deliveries to the store hold, too.

    Returns:
        How many feedbacks were moved.

    Raises:
        StoreError: the store is unreachable or refuses.
        StateError: the database of the locks can't be used.
    """
    moved = 0
    for before, now in former.items():
        departed = departed_at(store, before)
        if departed is not None:
            record_departure(store, now, departed.timestamp())
        for identifier in list(_ids(store, before)):
            _move(store, identifier, before, now, photos)
            moved += 1
    for found in list(store.list(ERASURES)):
        content = read_object(store, found.key)
        erasure = None if content is None else Erasure.model_validate_json(content)
        for before, now in former.items():
            if erasure and erasure.owner == owner_of(erasure.id, before):
                put_document(store, found.key, erasure.model_copy(update={"owner": owner_of(erasure.id, now)}))
    return moved


def _move(store: ObjectStore, identifier: str, before: str, now: str, photos: PhotoLocks) -> None:
    pointer = read_pointer(store, before, identifier)
    if pointer is None:
        return
    put_document(store, pointer_key(now, identifier), pointer)
    content = read_object(store, pointer.record)
    record = None if content is None else Feedback.model_validate_json(content)
    if record is not None and record.creator == before:
        record = record.model_copy(update={"creator": now})
        put_document(store, pointer.record, record)
    departed = departed_at(store, now)
    left = record is not None and departed is not None and record.received <= departed
    if left or store.exists(erasure_key(identifier)):
        erase(store, [ErasureRequest(identifier, now, time.time())], photos)
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
    departed, previous = datetime.fromtimestamp(asked, UTC), departed_at(store, creator)
    if previous is None or previous < departed:
        put_document(store, departure_key(creator), Departure(asked=departed))


def is_known(store: ObjectStore, creator: str) -> bool:
    """Return whether the store has any feedback of a creator, or the record that all of it was erased.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    return any(True for _ in store.list(pointers_prefix(creator))) or store.exists(departure_key(creator))


def list_ids(store: ObjectStore, creator: str, before: float, each: Mapper = serially) -> Iterator[list[str]]:
    """Yield the ids of a creator's feedback that was received until *before* (seconds since the epoch), some at a time.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    pointers = _pointers(store, creator)
    while some := list(islice(pointers, _PAGE)):
        due = each(lambda pointer: _is_due(store, creator, pointer, before), some)
        yield [identifier for (identifier, _), is_due in zip(some, due, strict=True) if is_due]


def _is_due(store: ObjectStore, creator: str, pointer: tuple[str, datetime], before: float) -> bool:
    identifier, put = pointer
    if put.timestamp() < before - _MOST_SKEWED:
        # It was received before it was put.
        return True
    try:
        found = read_pointer(store, creator, identifier)
    except ValidationError:
        # A newer version may have written it. Its erasure waits for one, and that of the others does not.
        return True
    return found is not None and found.received.timestamp() <= before


def departed_at(store: ObjectStore, creator: str) -> datetime | None:
    """Return until when all of a creator's feedback is erased; None if they never asked for that.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    # Nearly nobody left, and to ask costs a remote store half as much as to read in vain.
    found = read_object(store, departure_key(creator)) if store.exists(departure_key(creator)) else None
    return None if found is None else Departure.model_validate_json(found).asked


def _ids(store: ObjectStore, creator: str) -> Iterator[str]:
    return (identifier for identifier, _ in _pointers(store, creator))


def _pointers(store: ObjectStore, creator: str) -> Iterator[tuple[str, datetime]]:
    """Yield the id of each feedback of a creator, and when its pointer was put, by the store's clock."""
    prefix = pointers_prefix(creator)
    found = ((info.key.removeprefix(prefix).removesuffix(".json"), info.modified) for info in store.list(prefix))
    return (one for one in found if is_feedback_id(one[0]))
