import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from counting_store import CountingStore
from creators import creator
from patience import LONGEST

from serving.feedback.store.delivery import deliver
from serving.feedback.store.erasure import ErasureRequest, erase
from serving.feedback.store.photo_locks import PhotoLocks
from serving.feedback.store.recent_photos import RecentPhotos
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from snap2caption.feedback import Feedback, Pointer, photo_key, pointer_key, record_key, use_key
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document

pytestmark = pytest.mark.unit

ANA = creator("ana")
PHOTO = b"a photo"


def test_what_a_kill_left_of_an_erased_feedback_goes_too(
    store: ObjectStore, settings: ServingSettings, tmp_path: Path
) -> None:
    photos = PhotoLocks(open_database(settings, Section.FEEDBACK))
    feedback = Feedback(id="1" * 32, creator=ANA, received=datetime.now(UTC), photo="f" * 64)
    keys = (record_key(feedback), photo_key(feedback.photo), pointer_key(ANA, feedback.id))
    for cut_off in range(3):
        # Killed while writing the pointer, the photo, or the record (in another folder).
        put_document(store, use_key(feedback.photo, feedback.id), feedback)
        if cut_off:
            pointer = Pointer(record=record_key(feedback), photo=feedback.photo, received=feedback.received)
            put_document(store, pointer_key(ANA, feedback.id), pointer)
        draft = (tmp_path / "store" / keys[cut_off - 1]).with_name(".put-0123")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(b"words and pixels")
        erase(store, [ErasureRequest(feedback.id, ANA, 1.0)], photos)
        assert not draft.exists()


class _WatchedStore(CountingStore):
    """A store that says when a photo's use is put, and calls *before_delete* before a photo is deleted."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store)
        self.used = threading.Event()
        self.before_delete: Callable[[], None] = lambda: None

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        if key.startswith("uses/"):
            self.used.set()
        super().put(key, source, sha256=sha256)

    def delete(self, key: str) -> None:
        if key.startswith("photos/"):
            self.before_delete()
        super().delete(key)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("killed", [False, True])
def test_a_photo_that_is_being_deleted_is_not_delivered(
    store: ObjectStore, settings: ServingSettings, killed: bool
) -> None:
    def feedback(number: int) -> Feedback:
        digest = hashlib.sha256(PHOTO).hexdigest()
        return Feedback(id=f"{number:032x}", creator=ANA, received=datetime.now(UTC), photo=digest)

    watched = _WatchedStore(store)
    # Of another replica each, which has delivered the photo before.
    mine, others = (PhotoLocks(open_database(settings, Section.FEEDBACK)) for _ in range(2))
    recent = RecentPhotos()
    deliver(watched, feedback(1), PHOTO, others, recent)
    delivery = threading.Thread(target=deliver, args=(watched, feedback(2), PHOTO, others, recent), daemon=True)

    def meanwhile() -> None:
        watched.used.clear()
        delivery.start()
        assert not watched.used.wait(0.3)
        if killed:
            store.delete(photo_key(feedback(1).photo))
            raise SystemExit

    watched.before_delete = meanwhile
    request = ErasureRequest(feedback(1).id, ANA, 1.0)
    if killed:
        with pytest.raises(SystemExit):
            erase(watched, [request], mine)
    else:
        erase(watched, [request], mine)
    delivery.join(LONGEST)
    erase(watched, [request], mine)
    assert store.exists(photo_key(feedback(2).photo), feedback(2).photo)
    assert store.exists(record_key(feedback(2)))
