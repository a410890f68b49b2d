import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from counting_store import CountingStore
from creators import creator

from serving.feedback.store.delivery import deliver
from serving.feedback.store.erasure import ErasureRequest, erase
from serving.feedback.store.photo_locks import PhotoLocks
from serving.feedback.store.recent_photos import RecentPhotos
from serving.settings import ServingSettings
from serving.state.opening import open_database
from serving.state.tables import Section
from snap2caption.feedback import Feedback, photo_key
from snap2caption.store import open_store

pytestmark = pytest.mark.unit

ANA = creator("ana")
PHOTO = b"a photo"


def feedback(number: int) -> Feedback:
    return Feedback(
        id=f"{number:032x}", creator=ANA, received=datetime.now(UTC), photo=hashlib.sha256(PHOTO).hexdigest()
    )


def photo_locks(settings: ServingSettings) -> PhotoLocks:
    return PhotoLocks(open_database(settings, Section.FEEDBACK))


def test_a_delivery_costs_few_requests(settings: ServingSettings, tmp_path: Path) -> None:
    store, locks, recent = CountingStore(open_store(tmp_path.as_uri())), photo_locks(settings), RecentPhotos()
    for number in range(3):
        store.requests.clear()
        deliver(store, feedback(number), PHOTO, locks, recent)
        photo = {"put photos": 1} if number == 0 else {"exists photos": 1}
        assert store.requests == photo | {
            "create creators": 1,
            "put uses": 1,
            "put records": 1,
            "exists erased": 1,
            "exists left": 1,
        }


def test_a_photo_that_was_erased_elsewhere_is_put_again(settings: ServingSettings, tmp_path: Path) -> None:
    store, locks, recent = open_store(tmp_path.as_uri()), photo_locks(settings), RecentPhotos()
    deliver(store, feedback(1), PHOTO, locks, recent)
    erase(store, [ErasureRequest(feedback(1).id, ANA, 1.0)], photo_locks(settings))
    assert not store.exists(photo_key(feedback(1).photo))
    deliver(store, feedback(2), PHOTO, locks, recent)
    assert store.exists(photo_key(feedback(2).photo), feedback(2).photo)
