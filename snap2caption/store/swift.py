"""OpenStack Swift, through python-swiftclient. Credentials come from the standard ST_* (v1) or OS_* (Keystone) variables."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from snap2caption.store.base import ObjectInfo, StoreError

_SHA256 = "x-object-meta-sha256"
SEGMENT = 1024 * 1024 * 1024
"""Bytes above which an object is stored as a Static Large Object; Swift itself allows 5 GB in one piece."""


class SwiftStore:
    """Objects under *prefix* in *container*. Segments of large objects lie in ``<container>_segments``."""

    def __init__(self, container: str, prefix: str) -> None:
        self.container = container
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = f"swift://{container}/{prefix}".rstrip("/")

    def _connect(self) -> Any:
        from swiftclient import Connection

        env = os.environ
        if "ST_AUTH" in env:
            return Connection(
                authurl=env["ST_AUTH"], user=env.get("ST_USER"), key=env.get("ST_KEY"), auth_version="1", retries=4
            )
        if "OS_AUTH_URL" not in env:
            raise StoreError(f"No credentials for {self.uri}; set the OS_* variables (or ST_AUTH, ST_USER and ST_KEY).")
        from keystoneauth1 import loading, session

        kind = "v3applicationcredential" if "OS_APPLICATION_CREDENTIAL_ID" in env else "v3password"
        loader = loading.get_plugin_loader(kind)
        names = {option.dest: f"OS_{option.dest.upper()}" for option in loader.get_options()}
        auth = loader.load_from_options(**{name: env[variable] for name, variable in names.items() if variable in env})
        options = {"region_name": env["OS_REGION_NAME"]} if "OS_REGION_NAME" in env else {}
        return Connection(session=session.Session(auth=auth), os_options=options, retries=4)

    @cached_property
    def _connection(self) -> Any:
        return self._connect()

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Upload with the MD5 that Swift compares, as a Static Large Object above `SEGMENT`. A missing container is made."""
        with self._explained(key):
            # A connection of its own: swiftclient's is not for several threads at once.
            connection = self._connect()
            try:
                connection.put_container(self.container)
                size = len(source) if isinstance(source, bytes) else source.stat().st_size
                if isinstance(source, Path) and size > SEGMENT:
                    self._put_segments(connection, key, source, sha256)
                else:
                    data = source if isinstance(source, bytes) else source.read_bytes()
                    self._put(connection, self.container, self.prefix + key, data, {_SHA256: sha256})
            finally:
                connection.close()

    def _put(self, connection: Any, container: str, name: str, data: bytes, headers: dict[str, str]) -> str:
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        connection.put_object(
            container, name, contents=io.BytesIO(data), content_length=len(data), etag=etag, headers=headers
        )
        return etag

    def _put_segments(self, connection: Any, key: str, source: Path, sha256: str) -> None:
        container = f"{self.container}_segments"
        connection.put_container(container)
        segments = []
        with source.open("rb") as stream:
            for number, data in enumerate(iter(lambda: stream.read(SEGMENT), b"")):
                # Named by the content: a run that was cut off leaves segments that the next one writes again, not more of them.
                name = f"{self.prefix}{key}/{sha256}/{number:06d}"
                etag = self._put(connection, container, name, data, {})
                segments.append({"path": f"/{container}/{name}", "etag": etag, "size_bytes": len(data)})
        connection.put_object(
            self.container,
            self.prefix + key,
            contents=json.dumps(segments),
            query_string="multipart-manifest=put",
            headers={_SHA256: sha256},
        )

    @contextmanager
    def get(self, key: str) -> Iterator[BinaryIO]:
        """Stream the object."""
        with self._explained(key):
            connection = self._connect()
            try:
                _, body = connection.get_object(self.container, self.prefix + key, resp_chunk_size=1 << 20)
                yield cast("BinaryIO", io.BufferedReader(_Body(body)))
            finally:
                connection.close()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List page by page."""
        with self._explained(prefix):
            try:
                _, found = self._connection.get_container(
                    self.container, prefix=self.prefix + prefix, full_listing=True
                )
            except Exception as error:
                if getattr(error, "http_status", None) == 404:
                    return
                raise
        for item in found:
            yield ObjectInfo(item["name"].removeprefix(self.prefix), item["bytes"])

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Ask for the object's head."""
        with self._explained(key):
            connection = self._connect()
            try:
                head = connection.head_object(self.container, self.prefix + key)
            except Exception as error:
                if getattr(error, "http_status", None) == 404:
                    return False
                raise
            finally:
                connection.close()
        return sha256 is None or head.get(_SHA256) == sha256

    def delete(self, key: str) -> None:
        """Delete the object, with its segments if it has any."""
        with self._explained(key):
            connection = self._connect()
            try:
                # Asked to delete the segments of an object that has none, Swift leaves the object alone.
                head = connection.head_object(self.container, self.prefix + key)
                with_segments = "multipart-manifest=delete" if "x-static-large-object" in head else None
                connection.delete_object(self.container, self.prefix + key, query_string=with_segments)
            except Exception as error:
                if getattr(error, "http_status", None) != 404:
                    raise
            finally:
                connection.close()

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        from keystoneauth1.exceptions import ClientException as KeystoneError
        from requests import RequestException
        from swiftclient import ClientException

        try:
            yield
        except ClientException as error:
            if error.http_status == 404:
                raise StoreError(f"{self.uri} has no {key or 'objects'}; check the URI.") from error
            if error.http_status in {401, 403}:
                raise StoreError(f"{self.uri} refused the credentials; check the OS_* or ST_* variables.") from error
            raise StoreError(f"{self.uri} failed on {key} ({error}); try again.") from error
        except (KeystoneError, RequestException) as error:
            raise StoreError(
                f"{self.uri} can't be reached ({error}); check OS_AUTH_URL or ST_AUTH and that the server runs."
            ) from error


class _Body(io.RawIOBase):
    """What swiftclient hands out, as a file."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
