"""Delivery of a feedback to the store. It may be interrupted anywhere and repeated."""

import hashlib
import time
from datetime import UTC, datetime, timedelta

from serving.feedback.store.erasure import ErasureRequest, erase, read_pointer
from serving.feedback.store.photo_locks import PhotoLocks
from serving.feedback.store.recent_photos import RecentPhotos
from serving.feedback.store.repository import departed_at
from snap2caption.feedback import Feedback, Pointer, erasure_key, photo_key, pointer_key, record_key, use_key
from snap2caption.store import ObjectStore
from snap2caption.store.documents import create_document, put_document

_FRESH = timedelta(minutes=1)
"""Age of a feedback up to which nothing is asked before it is put: that costs as much as a fifth of the delivery."""


def deliver(store: ObjectStore, feedback: Feedback, photo: bytes, photos: PhotoLocks, recent: RecentPhotos) -> None:
    """Put a feedback with its photo, unless it was erased or another machine has put the same submission.

    The pointer is put first, so that an erasure finds everything. The record is put last, so that every record has its
    photo. Whether it was erased is asked after that, and before it if the feedback has waited for long.

    Args:
        store: the feedback store.
        feedback: what to put.
        photo: its photo as JPEG.
        photos: the locks that erasures hold, too.
        recent: the photos that were delivered lately. Others are put without asking whether the store has them.

    Raises:
        StoreError: the store is unreachable or refuses.
        StateError: the database of the locks can't be used.
        BusyError: another process has held the photo for long.
    """
    if datetime.now(UTC) - feedback.received > _FRESH and is_erased(store, feedback):
        return
    pointer = Pointer(record=record_key(feedback), photo=feedback.photo, received=feedback.received)
    key = pointer_key(feedback.creator, feedback.id)
    if not create_document(store, key, pointer):
        existing = read_pointer(store, feedback.creator, feedback.id)
        if existing is not None and existing.record != pointer.record:
            return
        put_document(store, key, pointer)
    with photos.holding(feedback.photo):
        store.put(use_key(feedback.photo, feedback.id), b"", sha256=hashlib.sha256().hexdigest())
        if feedback.photo not in recent or not store.exists(photo_key(feedback.photo), feedback.photo):
            store.put(photo_key(feedback.photo), photo, sha256=feedback.photo)
            recent.add(feedback.photo)
    put_document(store, pointer.record, feedback)
    if is_erased(store, feedback):
        # The erasure was requested on another machine.
        erase(store, [ErasureRequest(feedback.id, feedback.creator, time.time())], photos)


def is_erased(store: ObjectStore, feedback: Feedback) -> bool:
    """Return whether the creator had this feedback, or all of theirs, erased.

    Raises:
        StoreError: the store is unreachable or refuses.
    """
    if store.exists(erasure_key(feedback.id)):
        return True
    departed = departed_at(store, feedback.creator)
    return departed is not None and feedback.received <= departed
