"""OpenStack Swift store, through python-swiftclient."""

import hashlib
import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from snap2caption.parallel import in_threads
from snap2caption.store.base import MissingError, ObjectInfo, StoreError, StoreTimeouts, ask_and_put, short_read
from snap2caption.store.download import ResponseBody, ResumingDownload
from snap2caption.store.remote import RemoteStore
from snap2caption.store.retry import persistently, seconds
from snap2caption.store.swift_auth import Result, SwiftAccount, Work
from snap2caption.store.upload_parts import AT_ONCE, UploadPart, cut, open_piece

_SHA256, _ETAG = "x-object-meta-sha256", "x-object-meta-etag"
# 422: the MD5 of the received bytes differs. 498 is Swift's own "too many requests".
_PASSING_STATUSES = {408, 422, 429, 498, 499}


class SwiftStore(RemoteStore):
    """A store of large objects in segments, which are in ``<container>_segments``.

    The metadata keep an object's digest, and the ETag that Swift should compute for its bytes.
    """

    scheme = "swift"

    def __init__(self, container: str, prefix: str, piece: int, timeouts: StoreTimeouts) -> None:
        super().__init__(container, prefix, piece, timeouts)
        self._account = SwiftAccount(timeouts.seconds)
        self._made: set[str] = set()
        self._making = threading.Lock()

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Upload with the MD5, which Swift compares; a large object as a Static Large Object.

        A missing container is created.
        """
        name = self._name(key)
        pieces = cut(source, sha256, self._piece)
        headers = {_SHA256: sha256, _ETAG: _etag(pieces)}
        with self._explained(key):
            self._make_container(self.container)
            if len(pieces) == 1:
                self._put_piece(self.container, name, source, pieces[0], headers)
            else:
                self._put_segments(name, source, pieces, headers)

    def create(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Ask for the object's head, and put it."""
        return ask_and_put(self, key, content, sha256)

    def _put_segments(self, name: str, source: Path | bytes, pieces: list[UploadPart], headers: dict[str, str]) -> None:
        from swiftclient import put_object

        container = f"{self.container}_segments"
        self._make_container(container)

        def send(piece: UploadPart) -> dict[str, Any]:
            # Named by content, so that segments sent by an interrupted run are found again.
            segment = f"{name}/{headers[_SHA256]}/{piece.number:06d}"
            head = self._head(container, segment)
            if head is None or head["etag"] != piece.md5.hex():
                self._put_piece(container, segment, source, piece, {})
            return {"path": f"/{container}/{segment}", "etag": piece.md5.hex(), "size_bytes": piece.size}

        segments = sorted(in_threads(send, pieces, AT_ONCE), key=lambda segment: cast("str", segment["path"]))
        manifest = {"contents": json.dumps(segments), "query_string": "multipart-manifest=put", "headers": headers}
        self._ask(put_object, self.container, name, **manifest)
        self._remove_other_segments(container, name, {segment["path"] for segment in segments})

    def _remove_other_segments(self, container: str, folder: str, used: set[str]) -> None:
        """Remove the segments that an object had before it was replaced."""
        from swiftclient import delete_object

        for item in self._list(container, f"{folder}/"):
            name = item["name"]
            # Keep the segments of an object whose key starts with this one's.
            if re.fullmatch(r"/[0-9a-f]{64}/\d{6}", name.removeprefix(folder)) and f"/{container}/{name}" not in used:
                self._ask_unless_missing(delete_object, container, name)

    def _put_piece(
        self, container: str, name: str, source: Path | bytes, piece: UploadPart, headers: dict[str, str]
    ) -> None:
        from swiftclient import put_object

        def send(url: str, token: str, connection: Any) -> None:
            with open_piece(source, piece) as stream:
                put_object(
                    url,
                    token,
                    container,
                    name,
                    stream,
                    piece.size,
                    piece.md5.hex(),
                    headers=headers,
                    http_conn=connection,
                )

        self._persistently(send)

    def _make_container(self, container: str) -> None:
        """Create the container unless it exists.

        It is asked for first, since Swift reads a whole object before it misses the container.
        """
        from swiftclient import head_container, put_container

        # One thread at a time: a proxy caches for seconds that a container is missing. If another request asked
        # before the container was created, that answer may stay in the cache, and uploads are refused.
        with self._making:
            if container not in self._made:
                if self._ask_unless_missing(head_container, container) is None:
                    self._ask(put_container, container)
                self._made.add(container)

    @contextmanager
    def get(self, key: str) -> Iterator[BinaryIO]:
        """Stream the object."""
        from swiftclient import get_object

        name = self._name(key)

        def open_with(headers: dict[str, str]) -> tuple[dict[str, str], ResponseBody]:
            def ask(url: str, token: str, connection: Any) -> Any:
                return get_object(
                    url, token, self.container, name, connection, resp_chunk_size=1 << 20, headers=headers
                )

            return cast("tuple[dict[str, str], ResponseBody]", self._account.run(ask, connection))

        def open_at(start: int) -> ResponseBody:
            return open_with({"Range": f"bytes={start}-", "If-Match": head["etag"]})[1]

        with ExitStack() as stack:
            with self._explained(key):
                connection = persistently(self._account.connect, _passing, self._timeouts.attempts)
                stack.callback(connection[1].close)
                head, body = persistently(lambda: open_with({}), _passing, self._timeouts.attempts)
            size = int(head["content-length"])
            raw = ResumingDownload(body, size, open_at, _passing, lambda: self._explained(key), self._timeouts.attempts)
            yield stack.enter_context(io.BufferedReader(raw, 1 << 20))

    def read(self, key: str, start: int, size: int) -> bytes:
        """Ask for the range."""
        from swiftclient import ClientException, get_object

        if not size:
            return b""
        headers = {"Range": f"bytes={start}-{start + size - 1}"}
        with self._explained(key):
            try:
                _, found = self._ask(get_object, self.container, self._name(key), headers=headers)
            except ClientException as error:
                if error.http_status == 416:
                    raise short_read(self.uri, key) from error
                raise
        if len(found) != size:
            raise short_read(self.uri, key)
        return cast("bytes", found)

    def size(self, key: str) -> int:
        """Ask for the object's head."""
        name = self._name(key)
        with self._explained(key):
            head = self._head(self.container, name)
        if head is None:
            raise MissingError(f"{self.uri} has no {key}; check the URI.")
        return int(head["content-length"])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List page by page."""
        for item in self._list(self.container, self.prefix + prefix):
            # Without a zone, in UTC.
            modified = datetime.fromisoformat(item["last_modified"]).replace(tzinfo=UTC)
            yield ObjectInfo(item["name"].removeprefix(self.prefix), item["bytes"], modified, item["hash"])

    def _list(self, container: str, prefix: str) -> Iterator[dict[str, Any]]:
        from swiftclient import get_container

        marker = ""
        while True:
            with self._explained(prefix):
                answer = self._ask_unless_missing(get_container, container, prefix=prefix, marker=marker)
            page: list[dict[str, Any]] = answer[1] if answer else []
            yield from page
            if not page:
                return
            marker = page[-1]["name"]

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Ask for the object's head, and compare the stored digest and the stored ETag with the actual ones."""
        name = self._name(key)
        with self._explained(key):
            head = self._head(self.container, name)
        if head is None or sha256 is None:
            return head is not None
        return head.get(_SHA256) == sha256 and head["etag"].strip('"') == head.get(_ETAG)

    def delete(self, key: str) -> None:
        """Delete the object, with its segments if it has any."""
        from swiftclient import delete_object

        name = self._name(key)
        with self._explained(key):
            # If an object has no segments, Swift ignores a request to delete it with its segments.
            head = self._head(self.container, name)
            if head is not None:
                query = "multipart-manifest=delete" if "x-static-large-object" in head else None
                self._ask_unless_missing(delete_object, self.container, name, query_string=query)

    def delete_all(self, keys: Iterable[str]) -> None:
        """Delete the objects, several at a time: Swift's bulk requests are optional, and don't know segments."""
        for _ in in_threads(self.delete, keys, AT_ONCE):
            pass

    def _head(self, container: str, name: str) -> dict[str, str] | None:
        from swiftclient import head_object

        return cast("dict[str, str] | None", self._ask_unless_missing(head_object, container, name))

    def _ask_unless_missing(self, function: Callable[..., Any], *names: str, **arguments: Any) -> Any:
        """Return what `_ask` returns, or None if Swift has no such thing."""
        from swiftclient import ClientException

        try:
            return self._ask(function, *names, **arguments)
        except ClientException as error:
            if error.http_status == 404:
                return None
            raise

    def _ask(self, function: Callable[..., Any], *names: str, **arguments: Any) -> Any:
        """Call one of swiftclient's functions on the account."""
        return self._persistently(
            lambda url, token, connection: function(url, token, *names, http_conn=connection, **arguments)
        )

    def _persistently(self, work: Work[Result]) -> Result:
        return persistently(lambda: self._account.run(work), _passing, self._timeouts.attempts)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        from keystoneauth1.exceptions import ClientException as KeystoneError
        from requests import RequestException
        from swiftclient import ClientException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (ClientException, KeystoneError) as error:
            status = getattr(error, "http_status", None)
            if status == 404 and isinstance(error, ClientException):
                raise MissingError(f"{self.uri} has no {key or 'objects'}; check the URI.") from error
            if status in {401, 403}:
                raise StoreError(
                    f"{self.uri} refused the credentials; check clouds.yaml, or the OS_* or ST_* variables."
                ) from error
            if status is not None:
                raise StoreError(f"{self.uri} failed on {key} ({error}); try again later.") from error
            raise self._unreachable(error) from error
        except (RequestException, HTTPError, ConnectionError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self.uri} can't be reached ({error}); check the address to log in at, and that the server runs."
        )


def _passing(error: BaseException) -> float | None:
    from keystoneauth1.exceptions import ConnectFailure, HttpError
    from requests import exceptions
    from swiftclient import ClientException
    from urllib3.exceptions import HTTPError

    if isinstance(error, ClientException | HttpError):
        status = error.http_status or 0
        if status not in _PASSING_STATUSES and status < 500:
            return None
        return seconds(getattr(error, "http_response_headers", None) or {})
    lost = (ConnectFailure, exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError)
    return (
        0.0
        if isinstance(error, (*lost, HTTPError, ConnectionError)) and not isinstance(error, exceptions.SSLError)
        else None
    )


def _etag(pieces: list[UploadPart]) -> str:
    """Return the ETag that Swift computes for an upload in these pieces."""
    if len(pieces) == 1:
        return pieces[0].md5.hex()
    return hashlib.md5("".join(piece.md5.hex() for piece in pieces).encode(), usedforsecurity=False).hexdigest()
