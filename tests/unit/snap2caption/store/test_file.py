"""File store: edge cases of the file system."""

import hashlib
from pathlib import Path

import pytest

from snap2caption.store import StoreError, open_store

pytestmark = pytest.mark.unit

LONG = "a" * 300


@pytest.mark.parametrize("key", [LONG, f"{LONG}/x", "/".join(["a" * 200] * 30)])
def test_a_name_that_is_too_long_is_nobodys(key: str, tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    assert not store.exists(key)
    assert not store.exists(key, "0" * 64)
    assert list(store.list(key)) == []
    with pytest.raises(StoreError, match="File name too long"):
        store.put(key, b"x", sha256=hashlib.sha256(b"x").hexdigest())
    with pytest.raises(StoreError, match="File name too long"), store.get(key):
        pass
    with pytest.raises(StoreError, match="File name too long"):
        store.delete(key)
    assert list(tmp_path.iterdir()) == []
