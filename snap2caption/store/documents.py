"""Small objects in a store: raw bytes, and Pydantic models as JSON."""

import hashlib

from pydantic import BaseModel

from snap2caption.store.base import ObjectStore, StoreError


def read_object(store: ObjectStore, key: str) -> bytes | None:
    """Return the object, or None if it does not exist, for example because it was just removed.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    try:
        with store.get(key) as stream:
            return stream.read()
    except StoreError:
        if store.exists(key):
            raise
        return None


def put_document(store: ObjectStore, key: str, document: BaseModel) -> None:
    """Store *document* as JSON. An existing object is replaced.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    content = document.model_dump_json().encode()
    store.put(key, content, sha256=hashlib.sha256(content).hexdigest())
