import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from counting_store import CountingStore
from creators import creator

from serving.feedback.store.repository import list_ids
from snap2caption.feedback import Pointer, pointer_key
from snap2caption.store import open_store
from snap2caption.store.documents import put_document

pytestmark = pytest.mark.unit

ANA = creator("ana")


def test_pointers_that_are_old_are_listed_and_not_read(tmp_path: Path) -> None:
    store, now = CountingStore(open_store(tmp_path.as_uri())), time.time()
    ages = {"1" * 32: 86400, "2" * 32: 60, "3" * 32: -60}
    for identifier, age in ages.items():
        received = datetime.fromtimestamp(now - age, UTC)
        key = f"records/{received:%Y-%m-%d}/{identifier}.json"
        put_document(store, pointer_key(ANA, identifier), Pointer(record=key, photo="f" * 64, received=received))
        os.utime(tmp_path / pointer_key(ANA, identifier), (now - age, now - age))
    store.requests.clear()
    # What was received after the request stays.
    assert list(list_ids(store, ANA, now)) == [["1" * 32, "2" * 32]]
    assert store.requests == {"list creators": 1, "get creators": 2}
