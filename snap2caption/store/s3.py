"""S3 and what speaks its protocol, through boto3. Credentials and address come from the standard AWS_* variables."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from snap2caption.store.base import ObjectInfo, StoreError

_SHA256 = "sha256"
_MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_THERE_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_PART = 16 * 1024 * 1024


class S3Store:
    """Objects under *prefix* in *bucket*. The digest is kept as the object's metadata."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            # Newer checksums than the MD5 are unknown to some servers (boto3 sends them by default since 1.36).
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"mode": "standard", "max_attempts": 6},
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=32,
        )
        return boto3.session.Session().client("s3", config=config)

    def put(self, key: str, source: Path | bytes, *, sha256: str) -> None:
        """Upload, in one piece with its MD5 or in parts, each with its own; the server compares. A missing bucket is made."""
        with self._explained(key):
            try:
                self._upload(key, source, sha256)
            except Exception as error:
                if _code(error) != "NoSuchBucket":
                    raise
                self._create_bucket()
                self._upload(key, source, sha256)

    def _create_bucket(self) -> None:
        region = self._client.meta.region_name
        # us-east-1 is what S3 takes for granted, and refuses to be told.
        place = {} if region in {None, "us-east-1", "aws-global"} else {"LocationConstraint": region}
        try:
            self._client.create_bucket(Bucket=self.bucket, **({"CreateBucketConfiguration": place} if place else {}))
        except Exception as error:
            # Another thread or process was faster. If the bucket is somebody else's, the upload will be refused.
            if _code(error) not in _THERE_ALREADY:
                raise

    def _upload(self, key: str, source: Path | bytes, sha256: str) -> None:
        where = {"Bucket": self.bucket, "Key": self.prefix + key}
        metadata = {_SHA256: sha256}
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if isinstance(source, bytes) or size <= _PART:
            data = source if isinstance(source, bytes) else source.read_bytes()
            self._client.put_object(**where, Body=data, ContentMD5=_md5(data), Metadata=metadata)
            return
        upload = self._client.create_multipart_upload(**where, Metadata=metadata)["UploadId"]
        try:
            parts = []
            with source.open("rb") as stream:
                for number, data in enumerate(iter(lambda: stream.read(_PART), b""), start=1):
                    part = self._client.upload_part(
                        **where, UploadId=upload, PartNumber=number, Body=data, ContentMD5=_md5(data)
                    )
                    parts.append({"PartNumber": number, "ETag": part["ETag"]})
            self._client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            self._client.abort_multipart_upload(**where, UploadId=upload)
            raise

    @contextmanager
    def get(self, key: str) -> Iterator[BinaryIO]:
        """Stream the object."""
        with self._explained(key):
            body = self._client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
        with body, self._explained(key):
            yield cast("BinaryIO", body)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """List page by page."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
        try:
            with self._explained(prefix):
                for page in pages:
                    for found in page.get("Contents", ()):
                        yield ObjectInfo(found["Key"].removeprefix(self.prefix), found["Size"])
        except StoreError as error:
            # No bucket yet: nothing in it.
            if error.__cause__ is None or _code(error.__cause__) not in _MISSING:
                raise

    def exists(self, key: str, sha256: str | None = None) -> bool:
        """Ask for the object's head."""
        try:
            with self._explained(key):
                head = self._client.head_object(Bucket=self.bucket, Key=self.prefix + key)
        except StoreError as error:
            if error.__cause__ is not None and _code(error.__cause__) in _MISSING:
                return False
            raise
        return sha256 is None or head["Metadata"].get(_SHA256) == sha256

    def delete(self, key: str) -> None:
        """Delete the object."""
        with self._explained(key):
            self._client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

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
                raise StoreError(f"{self.uri} has no {key or 'objects'}; check the URI.") from error
            message = error.response.get("Error", {}).get("Message") or code
            raise StoreError(f"{self.uri} refused {key} ({message}); check credentials and rights.") from error
        except (BotoCoreError, HTTPError) as error:
            raise StoreError(
                f"{self.uri} can't be reached ({error}); check AWS_ENDPOINT_URL and that the server runs."
            ) from error


def _md5(data: bytes) -> str:
    # What S3 asks for as Content-MD5: a checksum of the transfer, not a defence.
    return b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _code(error: BaseException) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
