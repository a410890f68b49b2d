"""OpenStack Swift, through python-swiftclient. Credentials come from the standard ST_* (v1) or OS_* (Keystone) variables."""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
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

    @cached_property
    def _login(self) -> dict[str, Any]:
        """How to open a connection: with the token of one login, which is done again only when the token has run out."""
        from swiftclient import Connection

        env = os.environ
        if "ST_AUTH" in env:
            v1 = {
                "authurl": env["ST_AUTH"],
                "user": env.get("ST_USER"),
                "key": env.get("ST_KEY"),
                "auth_version": "1",
                "retries": 4,
            }
            with closing(Connection(**v1)) as connection:
                url, token = connection.get_auth()
            return {**v1, "preauthurl": url, "preauthtoken": token}
        if "OS_AUTH_URL" not in env:
            raise StoreError(f"No credentials for {self.uri}; set the OS_* variables (or ST_AUTH, ST_USER and ST_KEY).")
        from keystoneauth1 import loading, session

        kind = "v3applicationcredential" if "OS_APPLICATION_CREDENTIAL_ID" in env else "v3password"
        loader = loading.get_plugin_loader(kind)
        names = {option.dest: f"OS_{option.dest.upper()}" for option in loader.get_options()}
        auth = loader.load_from_options(**{name: env[variable] for name, variable in names.items() if variable in env})
        options = {"region_name": env["OS_REGION_NAME"]} if "OS_REGION_NAME" in env else {}
        return {"session": session.Session(auth=auth), "os_options": options, "retries": 4}

    @contextmanager
    def _connected(self, key: str) -> Iterator[Any]:
        """Open a connection of its own for each use, since swiftclient's is not for several threads at once."""
        from swiftclient import Connection

        with self._explained(key), closing(Connection(**self._login)) as connection:
            yield connection

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Upload with the MD5 that Swift compares, as a Static Large Object above `SEGMENT`. A missing container is made."""
        with self._connected(key) as connection:
            if isinstance(source, bytes):
                stream: BinaryIO = io.BytesIO(source)
                _put(connection, self.container, self.prefix + key, stream, len(source), {_SHA256: sha256})
                return
            size = source.stat().st_size
            with source.open("rb") as stream:
                if size > SEGMENT:
                    self._put_segments(connection, key, stream, size, sha256)
                else:
                    _put(connection, self.container, self.prefix + key, stream, size, {_SHA256: sha256})

    def _put_segments(self, connection: Any, key: str, stream: BinaryIO, size: int, sha256: str) -> None:
        container = f"{self.container}_segments"
        segments: list[dict[str, Any]] = []
        for start in range(0, size, SEGMENT):
            part = min(size - start, SEGMENT)
            # Named by the content: a run that was cut off leaves segments that the next one writes again, not more of them.
            name = f"{self.prefix}{key}/{sha256}/{len(segments):06d}"
            etag = _put(connection, container, name, stream, part, {})
            segments.append({"path": f"/{container}/{name}", "etag": etag, "size_bytes": part})
        connection.put_container(self.container)
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
        with self._connected(key) as connection:
            _, body = connection.get_object(self.container, self.prefix + key, resp_chunk_size=1 << 20)
            yield cast("BinaryIO", io.BufferedReader(_Body(body)))

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List page by page."""
        with self._connected(prefix) as connection:
            found = _unless_missing(
                lambda: connection.get_container(self.container, prefix=self.prefix + prefix, full_listing=True)
            )
        for item in found[1] if found else ():
            yield ObjectInfo(item["name"].removeprefix(self.prefix), item["bytes"])

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Ask for the object's head."""
        with self._connected(key) as connection:
            head = _unless_missing(lambda: connection.head_object(self.container, self.prefix + key))
        return head is not None and (sha256 is None or head.get(_SHA256) == sha256)

    def delete(self, key: str) -> None:
        """Delete the object, with its segments if it has any."""
        with self._connected(key) as connection:
            # Asked to delete the segments of an object that has none, Swift leaves the object alone.
            head = _unless_missing(lambda: connection.head_object(self.container, self.prefix + key))
            if head is not None:
                query = "multipart-manifest=delete" if "x-static-large-object" in head else None
                _unless_missing(lambda: connection.delete_object(self.container, self.prefix + key, query_string=query))

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


def _unless_missing(call: Callable[[], Any]) -> Any:
    """Return what *call* returns, or None if Swift has no such thing."""
    from swiftclient import ClientException

    try:
        return call()
    except ClientException as error:
        if error.http_status == 404:
            return None
        raise


def _put(connection: Any, container: str, name: str, source: BinaryIO, size: int, headers: dict[str, str]) -> str:
    """Upload the next *size* bytes of *source*, in pieces, with their MD5, which Swift compares; return it."""
    from swiftclient import ClientException
    from swiftclient.utils import LengthWrapper

    start = source.tell()
    etag = _md5(source, size)
    for container_is_new in (False, True):
        if container_is_new:
            connection.put_container(container)
        source.seek(start)
        try:
            contents = LengthWrapper(source, size, md5=False)
            connection.put_object(container, name, contents, content_length=size, etag=etag, headers=headers)
            break
        except ClientException as error:
            if error.http_status != 404 or container_is_new:
                raise
    return etag


def _md5(source: BinaryIO, size: int) -> str:
    # A checksum of the transfer, not a defence.
    md5 = hashlib.md5(usedforsecurity=False)
    while size:
        data = source.read(min(size, 1 << 20))
        if not data:
            raise StoreError("A file became shorter while it was uploaded; make it again, then try again.")
        md5.update(data)
        size -= len(data)
    return md5.hexdigest()


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
