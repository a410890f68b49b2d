"""S3 store, for AWS and compatible servers, through boto3.

Credentials and address come from the standard AWS_* variables.
"""

import hashlib
import io
import mimetypes
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

from snap2caption.parallel import in_threads
from snap2caption.store.base import MissingError, ObjectInfo, StoreError, short_read
from snap2caption.store.download import ResponseBody, ResumingDownload
from snap2caption.store.remote import RemoteStore
from snap2caption.store.retry import persistently, seconds
from snap2caption.store.upload_parts import AT_ONCE, UploadPart, cut, open_piece

_SHA256, _ETAG = "sha256", "etag"
_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_BEYOND = {"416", "InvalidRange"}
_THERE_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_NO_BATCHES = {400, 405, 501}
"""Statuses of servers that can't delete several objects by one request, or not by one as boto3 makes it."""

_OCCUPIED = "PreconditionFailed"

_BATCH = 1000
_PASSING_CODES = {"BadDigest", "ConditionalRequestConflict", "RequestTimeout", "SlowDown"}
_PASSING_STATUSES = {408, 429, 500, 502, 503, 504}


class S3Store(RemoteStore):
    """A store whose metadata keep an object's digest, and the ETag that S3 should compute for its bytes."""

    scheme = "s3"
    _has_conditions: bool | None = None
    """Whether the server heeds the condition of `create`; None: not known yet."""

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config

        from snap2caption.store.s3_client import open_client

        config = Config(
            # Some servers don't know checksums newer than MD5, which boto3 sends by default since 1.36.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # The signed MD5 protects the body. A third pass over it is not needed, even without TLS.
            s3={"payload_signing_enabled": False},
            # `persistently` retries.
            retries={"mode": "standard", "total_max_attempts": 1},
            connect_timeout=min(10.0, self._timeouts.seconds),
            read_timeout=self._timeouts.seconds,
            max_pool_connections=32,
            # Its own would be put together anew for each request, which takes a seventh of a small request's time.
            user_agent="snap2caption",
            # All parameters are our own, and of the right types.
            parameter_validation=False,
        )
        return open_client(config)

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Upload in one piece, or in several in parallel, each with its MD5, which the server compares.

        A missing bucket is created.
        """
        pieces = cut(source, sha256, self._piece)
        described = _describe(key, sha256, pieces)
        with self._explained(key):
            if len(pieces) == 1:
                self._in_bucket("put_object", key, source, pieces[0], **described)
            else:
                self._put_parts(key, source, pieces, described)

    def create(self, key: str, content: bytes, *, sha256: str) -> bool:
        """Put with ``If-None-Match: *``.

        Servers older than 2024 ignore that. So the first object that is created is asked for before, and put twice: a
        server that takes it twice is asked each time.
        """
        if not self._has_conditions and self.exists(key):
            return False
        pieces = cut(content, sha256, self._piece)
        described = _describe(key, sha256, pieces)

        def attempt(**condition: str) -> bool:
            try:
                self._in_bucket("put_object", key, content, pieces[0], **described, **condition)
            except Exception as error:
                if _code(error) == _OCCUPIED:
                    return False
                raise
            return True

        with self._explained(key):
            if self._has_conditions is False:
                return attempt()
            try:
                created = attempt(IfNoneMatch="*")
                if created and self._has_conditions is None:
                    self._has_conditions = not attempt(IfNoneMatch="*")
            except Exception as error:
                if _code(error) != "NotImplemented":
                    raise
                self._has_conditions = False
                return attempt()
        return created

    def _put_parts(self, key: str, source: Path | bytes, pieces: list[UploadPart], described: dict[str, Any]) -> None:
        upload = self._in_bucket("create_multipart_upload", key, **described)["UploadId"]

        def send(piece: UploadPart) -> dict[str, Any]:
            part = self._ask("upload_part", key, source, piece, UploadId=upload, PartNumber=piece.number + 1)
            return {"PartNumber": piece.number + 1, "ETag": part["ETag"]}

        try:
            parts = sorted(in_threads(send, pieces, AT_ONCE), key=lambda part: cast("int", part["PartNumber"]))
            self._abort_others(key, upload)
            self._ask("complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts})
        except Exception as error:
            # The upload was completed but the response was lost, or another run completed it and aborted ours.
            if _code(error) == "NoSuchUpload" and self.exists(key, described["Metadata"][_SHA256]):
                return
            raise

    def _abort_others(self, key: str, upload: str) -> None:
        """Abort the unfinished uploads of *key* that killed runs left behind."""
        found = self._ask("list_multipart_uploads", Prefix=self.prefix + key)
        for other in found.get("Uploads", ()):
            if other["Key"] == self.prefix + key and other["UploadId"] != upload:
                self._ask("abort_multipart_upload", key, UploadId=other["UploadId"])

    def _in_bucket(
        self, operation: str, key: str, source: Path | bytes = b"", piece: UploadPart | None = None, **arguments: Any
    ) -> Any:
        try:
            return self._ask(operation, key, source, piece, **arguments)
        except Exception as error:
            if _code(error) != "NoSuchBucket":
                raise
        self._create_bucket()
        return self._ask(operation, key, source, piece, **arguments)

    def _create_bucket(self) -> None:
        region = self._client.meta.region_name
        # us-east-1 is the default of S3, which refuses it as an explicit value.
        is_default = region in {None, "us-east-1", "aws-global"}
        place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self._ask("create_bucket", **({} if is_default else place))
        except Exception as error:
            # Another thread or process was faster. If someone else owns the bucket, the upload will be refused.
            if _code(error) not in _THERE_ALREADY:
                raise

    def _ask(
        self,
        operation: str,
        key: str | None = None,
        source: Path | bytes = b"",
        piece: UploadPart | None = None,
        **arguments: Any,
    ) -> Any:
        """Call an operation of the client on the bucket, and on the object *key*, with *piece* of *source* as its
        body.
        """
        from s3transfer.utils import ReadFileChunk

        call = getattr(self._client, operation)
        arguments |= {"Bucket": self.container} | ({} if key is None else {"Key": self._name(key)})

        def attempt() -> Any:
            if piece is None:
                return call(**arguments)
            checksum = b64encode(piece.md5).decode()
            if isinstance(source, bytes):
                # In one go. Of a stream, 16 KiB go at a time, and only once the server has said that it may come.
                body = source[piece.start : piece.start + piece.size]
                return call(**arguments, Body=body, ContentMD5=checksum)
            with open_piece(source, piece) as stream:
                chunk = ReadFileChunk(stream, piece.size, piece.start + piece.size)
                return call(**arguments, Body=chunk, ContentMD5=checksum)

        return persistently(attempt, _passing, self._timeouts.attempts)

    @contextmanager
    def get(self, key: str) -> Iterator[BinaryIO]:
        """Stream the object."""
        with self._explained(key):
            answer = self._ask("get_object", key)

        def open_at(start: int) -> ResponseBody:
            rest = self._client.get_object(
                Bucket=self.container, Key=self._name(key), IfMatch=answer["ETag"], Range=f"bytes={start}-"
            )
            return cast("ResponseBody", rest["Body"])

        raw = ResumingDownload(
            answer["Body"],
            answer["ContentLength"],
            open_at,
            _passing,
            lambda: self._explained(key),
            self._timeouts.attempts,
        )
        with io.BufferedReader(raw, 1 << 20) as stream:
            yield stream

    def read(self, key: str, start: int, size: int) -> bytes:
        """Ask for the range."""
        if not size:
            return b""

        def attempt() -> bytes:
            body = self._client.get_object(
                Bucket=self.container, Key=self._name(key), Range=f"bytes={start}-{start + size - 1}"
            )["Body"]
            with body:
                return cast("bytes", body.read())

        with self._explained(key):
            try:
                found = persistently(attempt, _passing, self._timeouts.attempts)
            except Exception as error:
                if _code(error) in _BEYOND:
                    raise short_read(self.uri, key) from error
                raise
        if len(found) != size:
            raise short_read(self.uri, key)
        return found

    def size(self, key: str) -> int:
        """Ask for the object's head."""
        with self._explained(key):
            return cast("int", self._ask("head_object", key)["ContentLength"])

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List page by page."""
        more: dict[str, Any] = {}
        while True:
            try:
                with self._explained(prefix):
                    page = self._ask("list_objects_v2", Prefix=self.prefix + prefix, **more)
            except MissingError:
                return  # a missing bucket counts as empty
            for found in page.get("Contents", ()):
                yield ObjectInfo(
                    found["Key"].removeprefix(self.prefix), found["Size"], found["LastModified"], found["ETag"]
                )
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Ask for the object's head, and compare the stored digest and the stored ETag with the actual ones."""
        try:
            with self._explained(key):
                head = self._ask("head_object", key)
        except MissingError:
            return False
        known = head["Metadata"]
        # The ETag of an object encrypted with a customer's key is not an MD5.
        unchanged = head.get("ServerSideEncryption", "AES256") != "AES256" or head["ETag"].strip('"') == known.get(
            _ETAG
        )
        return sha256 is None or (known.get(_SHA256) == sha256 and unchanged)

    def delete(self, key: str) -> None:
        """Delete the object."""
        with self._explained(key):
            self._ask("delete_object", key)

    def delete_all(self, keys: Iterable[str]) -> None:
        """Delete up to 1,000 objects a request. What the server did not delete so is deleted one by one."""
        names = iter(keys)
        while batch := (*islice(names, _BATCH),):
            for key in self._delete_batch(batch):
                self.delete(key)

    def _delete_batch(self, keys: tuple[str, ...]) -> tuple[str, ...]:
        """Delete objects by one request, and return the keys of those that the server did not delete."""
        by_name = {self._name(key): key for key in keys}
        objects = [{"Key": name} for name in by_name]
        try:
            with self._explained(keys[0]):
                answer = self._ask("delete_objects", Delete={"Objects": objects, "Quiet": True})
        except MissingError:
            return ()  # a missing bucket counts as empty
        except StoreError as error:
            response = getattr(error.__cause__, "response", None) or {}
            if response.get("ResponseMetadata", {}).get("HTTPStatusCode") in _NO_BATCHES:
                return keys
            raise
        return tuple(by_name[fault["Key"]] for fault in answer.get("Errors", ()) if fault["Key"] in by_name)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise StoreError(
                f"No credentials for {self.uri}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error
        except ClientError as error:
            code = _code(error)
            if code in _MISSING:
                raise MissingError(f"{self.uri} has no {key or 'objects'}; check the URI.") from error
            message = error.response.get("Error", {}).get("Message") or code
            if _passing(error) is not None:
                raise StoreError(f"{self.uri} failed on {key} again and again ({message}); try again later.") from error
            raise StoreError(f"{self.uri} refused {key} ({message}); check credentials and rights.") from error
        except (BotoCoreError, HTTPError, ConnectionError) as error:
            raise StoreError(
                f"{self.uri} can't be reached ({error}); check AWS_ENDPOINT_URL and that the server runs."
            ) from error


def _passing(error: BaseException) -> float | None:
    from botocore import exceptions
    from urllib3.exceptions import HTTPError

    if isinstance(error, exceptions.ClientError):
        answer = error.response.get("ResponseMetadata", {})
        if _code(error) in _PASSING_CODES or answer.get("HTTPStatusCode") in _PASSING_STATUSES:
            return seconds(answer.get("HTTPHeaders", {}))
        return None
    lost = (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError)
    return (
        0.0
        if isinstance(error, (*lost, HTTPError, ConnectionError)) and not isinstance(error, exceptions.SSLError)
        else None
    )


def _describe(key: str, sha256: str, pieces: list[UploadPart]) -> dict[str, Any]:
    """Return the arguments of a put that describe the object."""
    metadata = {_SHA256: sha256, _ETAG: _etag(pieces)}
    # The content type lets a browser show a data card instead of saving it. Swift detects it by itself.
    return {"Metadata": metadata, "ContentType": mimetypes.guess_type(key)[0] or "application/octet-stream"}


def _etag(pieces: list[UploadPart]) -> str:
    """Return the ETag that S3 computes for an upload in these pieces."""
    if len(pieces) == 1:
        return pieces[0].md5.hex()
    joined = hashlib.md5(b"".join(piece.md5 for piece in pieces), usedforsecurity=False)
    return f"{joined.hexdigest()}-{len(pieces)}"


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
