"""Middleware stack: limits, headers, logs and traces."""

import asyncio
import base64
import gzip
import http.server
import io
import json
import logging
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from creators import TOKEN, creator, metrics_headers
from fastapi import FastAPI, Request
from patience import LONGEST
from pydantic import BaseModel
from server_thread import answering
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from serving.app import build_app
from serving.http.problems import ProblemError
from serving.middleware.body_budget import BodyBudget
from serving.middleware.body_limits import BodyLimit, MinimumRate
from serving.models.served_model import ServedModel
from serving.observability.logs import log_as_json
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit

KEYS = ("one", "two")


def service(served: ServedModel, folder: Path, **more: object) -> FastAPI:
    return build_app(ServingSettings(cache_dir=folder, **more), lambda: served)


def with_keys() -> dict[str, object]:
    return {"api_key_hashes": tuple(map(creator, KEYS)), "metrics_token_hash": creator(TOKEN)}


def test_a_key_has_so_many_requests_in_a_minute(served: ServedModel, tmp_path: Path, photo: bytes) -> None:
    with TestClient(service(served, tmp_path, requests_per_minute=2, **with_keys())) as client:

        def ask(key: str) -> "tuple[int, dict[str, str]]":
            answer = client.post("/generate-caption", files={"image": photo}, headers={"X-API-Key": key})
            if answer.status_code == 429:
                assert answer.json()["reason"] == "rate_limit"
            return answer.status_code, dict(answer.headers)

        for left in (1, 0):
            status, headers = ask("one")
            assert (status, headers["ratelimit-policy"]) == (200, '"key";q=2;w=60')
            assert headers["ratelimit"].startswith(f'"key";r={left};t=')
        status, headers = ask("one")
        assert status == 429
        assert 0 < int(headers["retry-after"]) <= 60
        # Neither other creators nor the probes are affected.
        assert ask("two")[0] == 200
        assert {client.get("/healthz").status_code for _ in range(5)} == {200}
        metrics = client.get("/metrics", headers=metrics_headers()).text
        assert 'snap2caption_refusals_total{reason="rate_limit"} 0.0' not in metrics


def test_a_request_costs_as_many_captions_as_it_asks_for(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    with TestClient(service(served, tmp_path, requests_per_minute=10, **with_keys())) as client:

        def ask(photos: int, variants: int, **more: str) -> "tuple[int, str]":
            files = [("image", photo)] * photos
            answer = client.post(
                "/generate-caption", files=files, data={"variants": str(variants), **more}, headers={"X-API-Key": "one"}
            )
            assert answer.status_code == 200 or answer.json()["reason"] == "rate_limit"
            return answer.status_code, answer.headers["ratelimit"].partition(";t=")[0]

        assert ask(2, 3) == (200, '"key";r=4')
        written = sum(engine.batches)
        # A refused request still costs the one caption that it was admitted for. Nothing is generated.
        assert ask(2, 3) == (429, '"key";r=3')
        assert ask(1, 4, stream="true") == (429, '"key";r=2')
        assert sum(engine.batches) == written
        assert ask(1, 2) == (200, '"key";r=0')
        # No request costs more than the limit of a minute: otherwise it could never be admitted.
        two = {"X-API-Key": "two"}
        files = [("image", photo)] * 4
        assert client.post("/generate-caption", files=files, data={"variants": "4"}, headers=two).status_code == 200
        assert client.post("/generate-caption", files={"image": photo}, headers=two).status_code == 429


def test_a_key_has_so_many_requests_at_once(
    engine: "ScriptedEngine", served: ServedModel, tmp_path: Path, photo: bytes
) -> None:
    engine.go.clear()
    app = service(served, tmp_path, requests_at_once=1, **with_keys())
    with TestClient(app) as client, ThreadPoolExecutor(1) as pool:

        def ask(key: str) -> int:
            return client.post("/generate-caption", files={"image": photo}, headers={"X-API-Key": key}).status_code

        first = pool.submit(ask, "one")
        assert engine.started.wait(LONGEST)
        refused = client.post("/generate-caption", files={"image": photo}, headers={"X-API-Key": "one"})
        assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_at_once")
        assert refused.headers["retry-after"] == "1"
        engine.go.set()
        assert first.result(LONGEST) == 200
        assert ask("one") == 200
        assert ask("two") == 200


class Clock:
    """Stands for the time that an upload takes: what it says to wait for is never waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(asyncio.SelectorEventLoop, "time", lambda _: self.now)


async def upload(clock: Clock, gaps: Sequence[float], piece: bytes, minimum_rate: MinimumRate) -> int:
    """Send a piece after each of *gaps* seconds; return how many bytes arrived.

    Raises:
        ProblemError: it was refused.
    """
    read = 0

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        nonlocal read
        message: Message = {"more_body": True}
        while message["more_body"]:
            message = await receive()
            read += len(message["body"])

    left = list(gaps)

    async def receive() -> Message:
        clock.now += left.pop(0)
        # Let the event loop check its timers first.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(_: Message) -> None:
        pytest.fail("nothing is answered")

    limit = BodyLimit(app, ["/"], 10**6, minimum_rate, BodyBudget(10**6, 10**6))
    await limit({"type": "http", "path": "/", "headers": [(b"transfer-encoding", b"chunked")]}, receive, send)
    return read


def test_an_upload_may_be_slow_as_long_as_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    minimum_rate = MinimumRate(seconds=30, rate=1000, max_seconds=600)
    # Each chunk earns the time for the next one: uploads of two or ten minutes pass, longer ones don't.
    assert asyncio.run(upload(Clock(monkeypatch), [1.0] * 120, bytes(1000), minimum_rate)) == 120_000
    assert asyncio.run(upload(Clock(monkeypatch), [29.0, 29.0], bytes(40_000), minimum_rate)) == 80_000
    for gaps, piece in (
        ([31.0], bytes(1)),
        ([1.0, 31.0], bytes(500_000)),
        ([10.0] * 5, bytes(100)),
        ([20.0] * 31, bytes(20_000)),
    ):
        with pytest.raises(ProblemError) as caught:
            asyncio.run(upload(Clock(monkeypatch), gaps, piece, minimum_rate))
        assert (caught.value.status, caught.value.reason) == (408, "slow_body")


def test_a_slow_body_is_let_go(served: ServedModel, tmp_path: Path) -> None:
    class Body(BaseModel):
        text: str

    app = service(served, tmp_path, read_seconds=0.2)

    @app.post("/typed")
    def typed(body: Body) -> str:
        return body.text

    async def send(path: str) -> tuple[int, bytes]:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            await asyncio.sleep(20)
            pytest.fail("it waited")

        async def take(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"", "http_version": "1.1",
            "scheme": "http", "server": ("test", 80), "headers": [(b"host", b"test"), (b"content-type", b"application/json")],
        }  # fmt: skip
        await app(scope, receive, take)
        return int(str(sent[0]["status"])), bytes(sent[1]["body"])  # type: ignore[call-overload]

    with TestClient(app):
        for path in ("/generate-caption", "/typed"):
            status, body = asyncio.run(send(path))
            assert (status, json.loads(body)["reason"]) == (408, "slow_body")


def test_every_answer_has_the_security_headers_and_an_id(served: ServedModel, tmp_path: Path) -> None:
    app = service(served, tmp_path)

    @app.get("/broken")
    def broken(request: Request) -> None:
        raise RuntimeError("a caption nobody may read")

    with TestClient(app, raise_server_exceptions=False) as client:
        for path, status in (("/healthz", 200), ("/nowhere", 404), ("/generate-caption", 405), ("/broken", 500)):
            answer = client.get(path)
            assert answer.status_code == status
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert len(answer.headers["x-request-id"]) == 32
            if status >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
                assert "nobody may read" not in answer.text
        assert "script-src 'self'; " in client.get("/docs").headers["content-security-policy"]


@pytest.mark.parametrize(
    "coded",
    [
        ("gzip", gzip.compress),
        ("GZIP", lambda body: gzip.compress(body[:20]) + gzip.compress(body[20:])),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
    ],
)
def test_a_body_may_be_compressed(
    served: ServedModel, tmp_path: Path, photo: bytes, coded: tuple[str, Callable[[bytes], bytes]]
) -> None:
    coding, compress = coded
    body = json.dumps({"image": base64.b64encode(photo).decode()}).encode()
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    with TestClient(service(served, tmp_path)) as client:
        whole = client.post("/generate-caption", content=compress(body), headers=headers)
        assert whole.status_code == 200, whole.text
        pieces = [compress(body)[at : at + 7] for at in range(0, len(compress(body)), 7)]
        assert client.post("/generate-caption", content=iter(pieces), headers=headers).status_code == 200


def test_a_compressed_body_is_kept_to_the_limits(served: ServedModel, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    json_body = gzip.compress(b'{"image": ""}')
    with TestClient(service(served, tmp_path, max_body_bytes=2**20)) as client:
        for body, coding, status, reason in (
            (bomb, "gzip", 413, "body_too_large"),
            (json_body[:-9], "gzip", 400, "malformed"),
            (b"{}", "gzip", 400, "malformed"),
            (json_body, "br", 415, "unsupported_encoding"),
            (json_body, "gzip, gzip", 415, "unsupported_encoding"),
        ):
            headers = {"Content-Type": "application/json", "Content-Encoding": coding}
            answer = client.post("/generate-caption", content=body, headers=headers)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
            if status == 415:
                assert answer.headers["accept-encoding"] == "gzip, deflate"
                assert repr(coding) in answer.json()["detail"]


def test_only_the_pages_that_are_named_may_call(served: ServedModel, tmp_path: Path) -> None:
    page = "https://app.example.com"
    asks = {"Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    with TestClient(service(served, tmp_path, cors_origins=(page,), **with_keys())) as client:
        allowed = client.options("/generate-caption", headers=asks)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, page)
        other = client.options("/generate-caption", headers={**asks, "Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in other.headers
        assert (other.status_code, other.json()["reason"]) == (400, "preflight")
        assert other.headers["content-type"] == "application/problem+json"
        assert "Origin" in other.headers["vary"]
        wrong = client.options("/generate-caption", headers={**asks, "Access-Control-Request-Headers": "X-Other"})
        assert wrong.json()["detail"].startswith("CORS does not allow this request (not allowed: headers); ")
        # The page can read why it was refused.
        assert client.post("/generate-caption", headers={"Origin": page}).headers["access-control-allow-origin"] == page
    with TestClient(service(served, tmp_path)) as client:
        assert "access-control-allow-origin" not in client.options("/generate-caption", headers=asks).headers


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    log_as_json()
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_the_log_has_the_requests_id_and_tells_no_secret(
    served: ServedModel, tmp_path: Path, photo: bytes, log: io.StringIO
) -> None:
    app = service(served, tmp_path)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(photo.hex())

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/generate-caption?k=secret", files={"image": photo}, headers={"X-API-Key": "secret"})
        client.get("/broken")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    ours = [line for line in lines if line["logger"].startswith("serving.")]
    caption, fault, _ = ours
    assert caption["request_id"] == answer.json()["request_id"]
    assert (caption["method"], caption["path"], caption["status"]) == ("POST", "/generate-caption", 200)
    assert {"ms", "timestamp", "level", "logger", "event"} <= set(caption)
    assert fault["level"] == "error"
    assert "RuntimeError" in fault["event"]
    assert "test_stack.py" in fault["event"]
    for secret in ("secret", "Golden hour", photo.hex()):
        assert secret not in json.dumps(ours)


def test_the_log_repeats_the_beginning_of_a_path(served: ServedModel, tmp_path: Path, log: io.StringIO) -> None:
    with TestClient(service(served, tmp_path)) as client:
        client.get("/" + "a" * 60_000)
    (line,) = [json.loads(line) for line in log.getvalue().splitlines() if '"serving.access"' in line]
    assert (line["path"], line["status"]) == ("/" + "a" * 199 + "…", 404)


def test_traces_are_sent_where_they_are_wanted(
    served: ServedModel, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with answering(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        with TestClient(service(served, tmp_path, traces=True)) as client:
            client.get("/healthz")
            client.post("/generate-caption?k=secret", files={"image": photo}, headers={"X-API-Key": "secret"})
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"snap2caption-serving" in body
    assert b"/generate-caption" in body
    assert b"/healthz" not in body
    assert b"secret" not in body
