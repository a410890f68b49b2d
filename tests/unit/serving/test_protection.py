"""Limits, headers, logs and traces: what stands around the routes."""

import asyncio
import hashlib
import http.server
import io
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI, Request
from patience import LONGEST
from pydantic import BaseModel
from starlette.testclient import TestClient

from serving.app import build_app
from serving.logs import log_as_json
from serving.models import Served
from serving.settings import ServingSettings

if TYPE_CHECKING:
    from conftest import ScriptedEngine

pytestmark = pytest.mark.unit

KEYS = ("one", "two")


def service(served: Served, folder: Path, **more: object) -> FastAPI:
    return build_app(ServingSettings(cache_dir=folder, **more), lambda: served)


def with_keys() -> dict[str, object]:
    return {"api_key_hashes": tuple(hashlib.sha256(key.encode()).hexdigest() for key in KEYS)}


def test_a_key_has_so_many_requests_in_a_minute(served: Served, tmp_path: Path, photo: bytes) -> None:
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
        # Nobody pays for another's haste, and who watches the service for nobody's.
        assert ask("two")[0] == 200
        assert {client.get("/healthz").status_code for _ in range(5)} == {200}
        assert 'snap2caption_refusals_total{reason="rate_limit"}' in client.get("/metrics").text


def test_a_key_has_so_many_requests_at_once(
    engine: "ScriptedEngine", served: Served, tmp_path: Path, photo: bytes
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


def test_a_slow_body_is_let_go(served: Served, tmp_path: Path) -> None:
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


def test_every_answer_has_the_security_headers_and_an_id(served: Served, tmp_path: Path) -> None:
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
        assert "cdn.jsdelivr.net" in client.get("/docs").headers["content-security-policy"]


def test_only_the_pages_that_are_named_may_call(served: Served, tmp_path: Path) -> None:
    page = "https://app.example.com"
    asks = {"Origin": page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-API-Key"}
    with TestClient(service(served, tmp_path, cors_origins=(page,), **with_keys())) as client:
        allowed = client.options("/generate-caption", headers=asks)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, page)
        other = client.options("/generate-caption", headers={**asks, "Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in other.headers
        # So that the page can read why it was refused.
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


def test_the_log_is_json_with_the_requests_id_and_tells_no_secret(
    served: Served, tmp_path: Path, photo: bytes, log: io.StringIO
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
    assert "test_protection.py" in fault["event"]
    for secret in ("secret", "Golden hour", photo.hex()):
        assert secret not in json.dumps(ours)


def test_traces_are_sent_where_they_are_wanted(
    served: Served, tmp_path: Path, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        with TestClient(service(served, tmp_path, traces=True)) as client:
            client.get("/healthz")
            client.post("/generate-caption?k=secret", files={"image": photo}, headers={"X-API-Key": "secret"})
        collector.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"snap2caption-serving" in body
    assert b"/generate-caption" in body
    assert b"/healthz" not in body
    assert b"secret" not in body
