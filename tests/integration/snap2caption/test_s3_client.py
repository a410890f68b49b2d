"""The S3 client beside boto3's own, on a real server."""

import io
import os
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError
from faulty_proxy import Fault, FaultyProxy
from urllib3 import HTTPResponse

from snap2caption.store.s3_client import open_client

pytestmark = pytest.mark.integration

KEYS = ["plain", "a b/c+d", "50% é~(1)'!*", "x/y", "question?and#hash", "<&>\"'", "a=b&c;d:e@f,g$"]
BUCKET = "s3-client"
CONFIG = Config(
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"payload_signing_enabled": False},
    retries={"mode": "standard", "total_max_attempts": 1},
    user_agent="test",
    parameter_validation=False,
)


@pytest.fixture
def usual(s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """boto3's client, for an empty bucket."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("s3", config=CONFIG)
    if BUCKET not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    return client


@pytest.fixture
def detours(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that boto3 does itself."""
    taken: list[str] = []
    usually = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        taken.append(operation)
        return usually(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return taken


def essence(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs from request to request."""
    body = {"Body": answer["Body"].read()} if "Body" in answer else {}
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"} | body | {"status": status}


def test_it_answers_what_boto3_answers(usual: Any, detours: list[str]) -> None:
    ours = open_client(CONFIG)
    for number, key in enumerate(KEYS):
        content = os.urandom(10 ** (number % 6))
        ours.put_object(
            Bucket=BUCKET, Key=key, Body=content, Metadata={"sha256": "f" * 64, "etag": "x"}, ContentType="image/jpeg"
        )
    assert not detours
    requests: list[Callable[[Any], Any]] = [
        lambda client: client.list_objects_v2(Bucket=BUCKET),
        lambda client: client.list_objects_v2(Bucket=BUCKET, Prefix="a b/"),
        *[lambda client, key=key: client.head_object(Bucket=BUCKET, Key=key) for key in KEYS],  # type: ignore[misc]
        *[lambda client, key=key: client.get_object(Bucket=BUCKET, Key=key) for key in KEYS],  # type: ignore[misc]
        lambda client: client.get_object(Bucket=BUCKET, Key="a b/c+d", Range="bytes=3-5"),
    ]
    for request in requests:
        mine = essence(request(ours))
        assert not detours
        assert mine == essence(request(usual))
        detours.clear()
    first = ours.list_objects_v2(Bucket=BUCKET, MaxKeys=4)
    rest = ours.list_objects_v2(Bucket=BUCKET, ContinuationToken=first["NextContinuationToken"])
    assert [found["Key"] for page in (first, rest) for found in page["Contents"]] == sorted(KEYS)
    for key in KEYS:
        ours.delete_object(Bucket=BUCKET, Key=key)
    assert not detours
    assert "Contents" not in usual.list_objects_v2(Bucket=BUCKET)


def test_it_fails_as_boto3_fails(usual: Any, detours: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usual.put_object(Bucket=BUCKET, Key="there", Body=b"1")
    requests: list[Callable[[Any], Any]] = [
        lambda client: client.head_object(Bucket=BUCKET, Key="missing"),
        lambda client: client.get_object(Bucket=BUCKET, Key="missing"),
        lambda client: client.get_object(Bucket="no-such-bucket", Key="missing"),
        lambda client: client.put_object(Bucket=BUCKET, Key="there", Body=b"2", IfNoneMatch="*"),
        lambda client: client.put_object(Bucket=BUCKET, Key="other", Body=b"2", ContentMD5="MTIzNDU2Nzg5MDEyMzQ1Ng=="),
        lambda client: client.get_object(Bucket=BUCKET, Key="there", Range="bytes=9-"),
        lambda client: client.get_object(Bucket=BUCKET, Key="there", IfMatch='"other"'),
    ]
    ours = open_client(CONFIG)
    for request in requests:
        codes = []
        for client in (ours, usual):
            with pytest.raises(ClientError) as caught:
                request(client)
            answer = caught.value.response
            codes.append((answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]))
        assert codes[0] == codes[1]
    assert usual.get_object(Bucket=BUCKET, Key="there")["Body"].read() == b"1"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    detours.clear()
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        open_client(CONFIG).put_object(Bucket=BUCKET, Key="there", Body=b"2")
    assert detours == ["PutObject"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(NoCredentialsError):
        open_client(CONFIG).put_object(Bucket=BUCKET, Key="there", Body=b"2")


def test_a_lost_connection_is_boto3s_to_repair(
    usual: Any, detours: list[str], s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(s3_environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
    content = os.urandom(10**6)
    with FaultyProxy(port=port, faults=[Fault(cut_at=1000)]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{proxy.address}")
        open_client(CONFIG).put_object(Bucket=BUCKET, Key="cut", Body=content)
    assert detours == ["PutObject"]
    assert usual.get_object(Bucket=BUCKET, Key="cut")["Body"].read() == content


@pytest.mark.parametrize(
    ("environment", "bucket", "url", "region"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-3"}, "one", "https://one.s3.eu-west-3.amazonaws.com", "eu-west-3"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "one", "https://one.s3.amazonaws.com", "us-east-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "dotted.name", "https://s3.amazonaws.com/dotted.name", "us-east-1"),
        ({"AWS_ENDPOINT_URL_S3": "https://minio:9/p"}, "one", "https://minio:9/p/one", "us-east-1"),
    ],
)
def test_requests_go_where_boto3_sends_them(
    environment: dict[str, str], bucket: str, url: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"} | environment
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    target = open_client(CONFIG)._target("GetObject", {"Bucket": bucket, "Key": "k"})
    assert (target.url, target.region) == (url, region)
    sent: list[Any] = []
    client = boto3.session.Session().client("s3", config=CONFIG)
    client.meta.events.register(
        "before-send.s3",
        lambda request, **_: (
            sent.append(request) or AWSResponse("", 204, {}, HTTPResponse(io.BytesIO(), preload_content=False))
        ),
    )
    client.delete_object(Bucket=bucket, Key="k")
    assert sent[0].url == f"{url}/k"
    assert f"/{region}/s3/aws4_request" in sent[0].headers["Authorization"].decode()


@pytest.mark.parametrize(
    "bucket", ["one--use1-az4--x-s3", "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/p"]
)
def test_buckets_of_other_services_are_left_to_boto3(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert open_client(CONFIG)._target("GetObject", {"Bucket": bucket, "Key": "k"}) is None
