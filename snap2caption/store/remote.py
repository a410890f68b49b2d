"""Base class of object stores behind a network."""

from typing import ClassVar

from snap2caption.store.base import StoreTimeouts, check_key, write_uri


class RemoteStore:
    """Objects under *prefix* in *container*, which S3 calls a bucket.

    Objects larger than *piece* bytes are uploaded in parts.
    """

    scheme: ClassVar[str]
    """The scheme of the store's URIs."""

    def __init__(self, container: str, prefix: str, piece: int, timeouts: StoreTimeouts) -> None:
        self.container = container
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = write_uri(self.scheme, container, prefix)
        self._piece = piece
        self._timeouts = timeouts

    def _name(self, key: str) -> str:
        """Return the object's name in the container."""
        return self.prefix + check_key(key)
