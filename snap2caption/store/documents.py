"""Small objects in a store: raw bytes, and Pydantic models as JSON."""

import hashlib
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from snap2caption.parallel import map_ahead
from snap2caption.store.base import MissingError, ObjectStore

READERS = 16
"""Number of small objects that are read at a time: they are limited by latency, not by bandwidth."""


def read_object(store: ObjectStore, key: str) -> bytes | None:
    """Return the object, or None if it does not exist, for example because it was just removed.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    try:
        with store.get(key) as stream:
            return stream.read()
    except MissingError:
        return None


def read_objects(store: ObjectStore, keys: Iterable[str]) -> Iterator[bytes | None]:
    """Yield the objects under *keys* in order, read in parallel; None for one that does not exist.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    return map_ahead(lambda key: read_object(store, key), keys, READERS)


def put_document(store: ObjectStore, key: str, document: BaseModel) -> None:
    """Store *document* as JSON. An existing object is replaced.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    content = document.model_dump_json().encode()
    store.put(key, content, sha256=hashlib.sha256(content).hexdigest())


def create_document(store: ObjectStore, key: str, document: BaseModel) -> bool:
    """Store *document* as JSON unless there is an object, and return whether it was stored: see `ObjectStore.create`.

    Raises:
        StoreError: the store is unavailable or refuses.
    """
    content = document.model_dump_json().encode()
    return store.create(key, content, sha256=hashlib.sha256(content).hexdigest())
