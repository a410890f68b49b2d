"""Store factory: it opens the store that a URI names."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from snap2caption.redaction import redact_url
from snap2caption.settings import Settings
from snap2caption.store.base import ObjectStore, StoreError, StoreTimeouts

_DEFAULT = StoreTimeouts()
_KINDS = "give file:///absolute/path, s3://bucket/prefix or swift://container/prefix"


def open_store(uri: str, timeouts: StoreTimeouts = _DEFAULT) -> ObjectStore:
    """Return the store that *uri* names. The first call contacts the server, within *timeouts*.

    Raises:
        StoreError: the URI is not one of the three kinds, lacks its bucket, container or absolute path, or has
            parts that have no meaning here: a user name, a port, a query or a fragment.
    """
    parts = _split(uri)
    piece = Settings().store_piece_mib << 20
    path = unquote(parts.path)
    prefix = path.strip("/")
    if parts.scheme == "file" and not parts.netloc and path.startswith("/"):
        from snap2caption.store.file import FileStore

        return FileStore(Path(path))
    # Dots are rejected: a store would take them as a name, but a proxy in front of it may resolve them.
    is_key = not {".", ".."} & set(prefix.split("/"))
    if parts.scheme == "s3" and parts.netloc and is_key:
        from snap2caption.store.s3 import S3Store

        return S3Store(parts.netloc, prefix, piece, timeouts)
    if parts.scheme == "swift" and parts.netloc and is_key:
        from snap2caption.store.swift import SwiftStore

        return SwiftStore(parts.netloc, prefix, piece, timeouts)
    raise StoreError(f"{uri!r} is not a store; {_KINDS}.")


def _split(uri: str) -> SplitResult:
    """Split a URI. Every part must have a meaning: if parts were ignored, two URIs could name the same place."""
    try:
        parts = urlsplit(uri)
        login = parts.username is not None
        port = parts.port is not None
    except ValueError:
        raise StoreError(f"{redact_url(uri)!r} is not a store; {_KINDS}.") from None
    if login:
        raise StoreError(
            f"{uri!r} holds a user name; leave it out: credentials come from the variables of the store's own tools "
            "(AWS_*, OS_*, ST_*)."
        )
    if port:
        raise StoreError(f"{uri!r} holds a port; leave it out: the server's address comes from AWS_ENDPOINT_URL.")
    for character, name in (("#", "fragment"), ("?", "query")):
        if character in uri:
            raise StoreError(
                f"{uri!r} has a {name}, which means nothing in a store; write %{ord(character):02X} for a {character} "
                "that is part of the name."
            )
    if re.search(r"[\x00-\x1f\x7f]", unquote(uri)):
        raise StoreError(f"{uri!r} holds a control character; {_KINDS}.")
    return parts
