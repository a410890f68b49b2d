"""Object stores behind one interface, chosen by URI.

The URIs are ``file:///path``, ``s3://bucket/prefix`` and ``swift://container/prefix``.
"""

from snap2caption.store.base import MissingError, ObjectInfo, ObjectStore, SourceError, StoreError, StoreTimeouts
from snap2caption.store.factory import open_store

__all__ = ["MissingError", "ObjectInfo", "ObjectStore", "SourceError", "StoreError", "StoreTimeouts", "open_store"]
