from datetime import UTC, datetime
from pathlib import Path

import pytest
from creators import creator
from databases import BOTH

from serving.feedback.schemas import Submission
from serving.feedback.store.erasure import ErasureRequest, erase
from serving.feedback.store.photo_locks import PhotoLocks
from snap2caption.feedback import (
    Feedback,
    Pointer,
    photo_key,
    pointer_key,
    record_key,
    use_key,
)
from snap2caption.store import ObjectStore
from snap2caption.store.documents import put_document

pytestmark = pytest.mark.unit

on_both = pytest.mark.parametrize("database_url", BOTH, indirect=True)

ANA, BEN = creator("ana"), creator("ben")
SAID = Submission(rating=2, caption="seen", edited_caption="mine")


def test_what_a_kill_left_of_an_erased_feedback_goes_too(store: ObjectStore, tmp_path: Path) -> None:
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
        erase(store, [ErasureRequest(feedback.id, ANA, 1.0)], PhotoLocks())
        assert not draft.exists()
