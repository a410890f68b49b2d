"""Erasure in the feedback store, of many feedbacks at once. It may be interrupted anywhere and repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from serving.feedback.daemon_threads import Mapper, serially
from serving.feedback.store.photo_locks import PhotoLocks
from snap2caption.feedback import (
    Erasure,
    Pointer,
    annotations_prefix,
    erasure_key,
    owner_of,
    photo_key,
    pointer_key,
    use_key,
    uses_prefix,
)
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document, read_object


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """A creator's feedback that is to be erased."""

    id: str
    creator: str
    asked: float
    """When it was requested, in seconds since the epoch."""


def erase(store: ObjectStore, requests: Sequence[ErasureRequest], photos: PhotoLocks, each: Mapper = serially) -> None:
    """Delete every copy of feedback, and leave an erasure record for each. Repeating it changes nothing.

    The erasure records are put first: from then on, nothing puts, samples or trains on the feedback. The pointers are
    deleted last.

    Args:
        store: the feedback store.
        requests: the feedback to erase.
        photos: the locks that deliveries to the store hold, too.
        each: how requests to the store are made, such as in several threads.

    Raises:
        StoreError: the store is unreachable or refuses.
        StateError: the database of the locks can't be used.
        BusyError: another process has held a photo for long.
    """
    stored = [copy for copy in each(lambda request: _find(store, request), requests) if copy]
    store.delete_all([key for copy in stored for key in copy.keys])
    each(lambda photo: _drop_photo(store, photo, photos), dict.fromkeys(copy.photo for copy in stored))
    # This also removes what a killed process may have left of a pointer that was never completed.
    store.delete_all([pointer_key(request.creator, request.id) for request in requests])


def read_pointer(store: ObjectStore, creator: str, identifier: str) -> Pointer | None:
    """Return the pointer to a creator's feedback, or None if the store has none.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    found = read_object(store, pointer_key(creator, identifier))
    return None if found is None else Pointer.model_validate_json(found)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What the store has of a feedback."""

    photo: str
    keys: list[str]
    """The record, the annotations, and the use of the photo."""


def _find(store: ObjectStore, request: ErasureRequest) -> _Copy | None:
    """Put the erasure record of a feedback, and return what is to be deleted; None if there is no pointer to it."""
    erased, owner = datetime.fromtimestamp(request.asked, UTC), owner_of(request.id, request.creator)
    put_document(store, erasure_key(request.id), Erasure(id=request.id, erased=erased, owner=owner))
    pointer = read_pointer(store, request.creator, request.id)
    if pointer is None:
        return None
    annotations = [found.key for found in store.list(annotations_prefix(request.id))]
    return _Copy(pointer.photo, [pointer.record, *annotations, use_key(pointer.photo, request.id)])


def _drop_photo(store: ObjectStore, photo: str, photos: PhotoLocks) -> None:
    """Delete the photo unless another feedback refers to it."""
    with photos.holding(photo, deleting=True):
        if any(True for _ in store.list(uses_prefix(photo))):
            return
        content = read_object(store, photo_key(photo))
        store.delete(photo_key(photo))
        # A machine with a database of its own may have added a use just now, when the photo still existed. So may a
        # replica, if the lock was lost. Put the photo back.
        if content is not None and any(True for _ in store.list(uses_prefix(photo))):
            store.put(photo_key(photo), content, sha256=photo)
