"""Small objects in a store: read whole, and models as JSON."""

import hashlib

from pydantic import BaseModel

from snap2caption.store.base import ObjectStore, StoreError


def read_object(store: ObjectStore, key: str) -> bytes | None:
    """Return the object, or None if there is none: it may have been removed a moment ago.

    Raises:
        StoreError: the store is away or refuses.
    """
    try:
        with store.get(key) as stream:
            return stream.read()
    except StoreError:
        if store.exists(key):
            raise
        return None


def put_document(store: ObjectStore, key: str, document: BaseModel) -> None:
    """Store *document* as JSON, in place of what was there.

    Raises:
        StoreError: the store is away or refuses.
    """
    content = document.model_dump_json().encode()
    store.put(key, content, sha256=hashlib.sha256(content).hexdigest())
