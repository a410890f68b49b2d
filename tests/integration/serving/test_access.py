"""Access checks against raw requests over a real socket, which client libraries would normalize."""

import socket
from urllib.parse import urlsplit

import pytest
from creators import creator
from demo_service import DemoService
from patience import LONGEST

pytestmark = pytest.mark.integration

REFUSED = {400, 401}
"""By the guard, or as no HTTP at all."""


def ask(service: DemoService, target: bytes, *fields: bytes, method: bytes = b"GET") -> tuple[int, bytes]:
    """Send a request byte by byte as given; return the status and the whole response."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=LONGEST) as connection:
        lines = [method + b" " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *fields]
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = b""
        while received := connection.recv(65536):
            answer += received
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/voice", b"//v1/voice", b"/v1//voice", b"/v1/voice/", b"/V1/VOICE", b"/v1/voice%00", b"/%76%31/voice", b"/v1%2fvoice", b"/./v1/voice",
        b"/healthz/../v1/voice", b"/healthz/%2e%2e/v1/voice", b"/healthz%2f%2e%2e%2fv1%2fvoice", b"/healthz;/v1/voice", b"/healthz\\..\\v1\\voice",
        b"/metrics%3f/../v1/voice", b"/docs/..;/v1/voice", b"//healthz", b"/healthz/", b"/HEALTHZ", b"/healthz%20", b"/healthz%00", b"/healthz%0a",
        b"/openapi.json/", b"/docs/oauth2-redirect", b"/redoc", b"http://x/v1/voice", b"http://x/healthz/../v1/voice", b"/v1/voice?/healthz",
        b"/v1/voice#/healthz", b"/v1/voice?X-API-Key=ana", b"*", b"/%ff%fe", b"/" + b"a" * 20_000,
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_gets_past_the_guard(guarded: DemoService, target: bytes) -> None:
    for method in (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE", b"get"):
        status, answer = ask(
            guarded, target, b"X-Original-URL: /healthz", b"X-Forwarded-Prefix: /healthz", method=method
        )
        assert status in REFUSED, (method, status)
        assert b"captions" not in answer


@pytest.mark.parametrize(
    "fields",
    [
        [b"X-API-Key:"], [b"X-API-Key: Ana"], [b"X-API-Key: ana, ben"], [b"X-API-Key: ana", b"X-API-Key: ben"],
        [b"X-API-Key: ana", b"x-api-key: ana"],
        [b"X-API-Key: ana\0"], [b"X-API-Key: a\0na"], [b"X-API-Key: ana\xa0"], [b"X-API-Key: \xef\xbb\xbfana"], [b"X-API-Key: an\xc3\xa1"],
        [b"X-API-Key : ana"], [b"X-API-Key\0: ana"], [b"X_API_Key: ana"], [b"X-API-Key: x", b" ana"], [b"Authorization: Bearer ana"],
        [b"X-API-Key: wrong", b"Authorization: Bearer ana"], [b"Cookie: X-API-Key=ana"], [b"X-API-Key: " + b"a" * 60_000], [b"X-API-Key: *"],
        [b"X-API-Key: " + creator("ana").encode()], [b"X-API-Key: undefined"], [b"X-API-Key: ana;q=1"],
    ],
)  # fmt: skip
def test_no_spelling_of_a_key_is_another_one(guarded: DemoService, fields: list[bytes]) -> None:
    status, answer = ask(guarded, b"/v1/voice", *fields)
    assert status in REFUSED
    assert b"captions" not in answer


def test_a_key_is_one_with_white_space_before_it_as_http_has_it(guarded: DemoService) -> None:
    for field in (b"X-API-Key: ana", b"x-api-key:ana", b"X-API-KEY:   ana"):
        assert ask(guarded, b"/v1/voice", field)[0] == 200


def test_metrics_want_their_own_token(guarded: DemoService) -> None:
    for field in (
        b"X-API-Key: ana",
        b"Authorization: Bearer ana",
        b"Authorization: Basic token",
        b"Authorization: token",
    ):
        assert ask(guarded, b"/metrics", field)[0] == 401
    assert ask(guarded, b"/metrics", b"Authorization: Bearer token")[0] == 200


def test_nobody_upgrades_past_the_guard(guarded: DemoService) -> None:
    upgrade = (
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    for target in (b"/v1/voice", b"/generate-caption", b"/nowhere"):
        assert ask(guarded, target, *upgrade)[0] == 401
    assert ask(guarded, b"/v1/voice", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")[0] == 401


@pytest.mark.parametrize("length", [b"9" * 5000, b"99999999999", b"-1", b"\xb2", b"0x10", b"1e9", b"4, 5"])
def test_a_body_of_an_odd_length_is_refused(guarded: DemoService, length: bytes) -> None:
    fields = b"X-API-Key: ana", b"Content-Type: application/json", b"Content-Length: " + length
    status, _ = ask(guarded, b"/generate-caption", *fields, method=b"POST")
    assert status in {400, 413}


def test_it_stands_it_all(guarded: DemoService) -> None:
    assert ask(guarded, b"/readyz")[0] == 200
    assert not guarded.faults
