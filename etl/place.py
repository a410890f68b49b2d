"""Place of a corpus or a work area: a path on this machine, or a URI in an object store."""

import functools
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import unquote, urlsplit

from snap2caption.store import ObjectStore, StoreError, open_store

Place = Path | str
"""A path, or the URI of an object or a prefix in a store behind a network. A ``file://`` URI is a path."""

AnyPlace = TypeVar("AnyPlace", bound=Place)


@functools.lru_cache(maxsize=8)
def store_at(uri: str) -> ObjectStore:
    """Return the store at *uri*, the same one each time in a process: making a client takes half a second.

    Raises:
        StoreError: *uri* names no store.
    """
    return open_store(uri)


def parse_place(text: str | Path) -> Place:
    """Return the place that a path or a URI (``file://``, ``s3://``, ``swift://``) names.

    Raises:
        StoreError: it is a URI that names no store.
    """
    if isinstance(text, Path) or "://" not in text:
        return Path(text)
    store = store_at(text)  # fail now, not in a worker
    return Path(unquote(urlsplit(text).path)) if text.startswith("file://") else store.uri


def absolute(place: AnyPlace) -> AnyPlace:
    """Return a path as an absolute one, and a URI as it is."""
    return cast("AnyPlace", place.absolute()) if isinstance(place, Path) else place


def split_object(uri: str) -> tuple[ObjectStore, str]:
    """Return the store and the key of the object at *uri*.

    Raises:
        StoreError: *uri* names no object.
    """
    parent, _, name = uri.rpartition("/")
    if not name or parent.endswith("/"):
        raise StoreError(f"{uri} names no object; give the object's name after the container.")
    return store_at(parent), unquote(name)
