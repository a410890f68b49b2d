import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from starlette.routing import Route
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import FeedbackService, open_feedback_service
from serving.feedback_app import build_intake
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

KEY, OTHER, TOKEN = "the key of Aisha", "the key of Ben", "the token of Prometheus"
PAGE = {"/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"}
OPEN = {"/healthz", "/readyz", "/openapi.json"} | PAGE


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def settings(folder: Path, **more: object) -> ServingSettings:
    files = {"cache_dir": folder, "voice_file": folder / "voice.sqlite", "feedback_dir": folder / "feedback"}
    return ServingSettings(**files, api_key_hashes=(digest(OTHER), digest(KEY)), **more)


def guarded(
    served: ServedModel, folder: Path, feedback_service: FeedbackService | None = None, **more: object
) -> FastAPI:
    return build_app(settings(folder, **more), lambda: served, feedback_service=feedback_service)


@pytest.fixture
def client(served: ServedModel, tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(guarded(served, tmp_path)) as client:
        yield client


def test_no_route_but_the_open_ones_answers_without_a_key(
    client: TestClient, served: ServedModel, tmp_path: Path
) -> None:
    with_feedback = guarded(
        served, tmp_path, feedback_service=open_feedback_service(settings(tmp_path), (tmp_path / "store").as_uri())
    )
    alone = build_intake(settings(tmp_path), open_feedback_service(settings(tmp_path), (tmp_path / "store").as_uri()))
    for app in (client.app, with_feedback, alone):
        # There are no mounts and no WebSocket routes, so this loop sees everything that the application serves.
        assert all(isinstance(route, Route) for route in app.routes)
        with TestClient(app) as asking:
            for route in app.routes:
                path = route.path.replace("{", "").replace("}", "")
                for method in {*route.methods, "HEAD", "OPTIONS", "TRACE", "PATCH"}:
                    status = asking.request(method, path).status_code
                    assert (status == 401) != (route.path in OPEN), (method, path, status)
            assert asking.get("/nowhere").status_code == 401
    assert {route.path for route in with_feedback.routes} > OPEN | {"/v1/feedback/{identifier}", "/v1/voice"}


@pytest.mark.parametrize("prefix", ["", "/captions"])
def test_under_a_prefix_the_same_routes_are_open(served: ServedModel, tmp_path: Path, prefix: str) -> None:
    with TestClient(guarded(served, tmp_path, root_path="/captions"), base_url="http://proxy.example") as asking:
        for path in OPEN:
            assert asking.get(prefix + path).status_code == 200
        for path in ("/v1/voice", "/captions/healthz", "/captionshealthz", "/nowhere"):
            assert asking.get(prefix + path).status_code == (200 if prefix + path == "/captions/healthz" else 401)
        assert asking.get(f"{prefix}/v1/voice", headers={"X-API-Key": KEY}).status_code == 200
        assert asking.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/captions"}]
        moved = asking.get(f"{prefix}/v1/voice/", headers={"X-API-Key": KEY}, follow_redirects=False)
        assert moved.headers["location"] == "http://proxy.example/captions/v1/voice"


def test_a_key_captions(client: TestClient, photo: bytes) -> None:
    for key in (KEY, OTHER):
        answer = client.post("/generate-caption", files={"image": photo}, headers={"X-API-Key": key})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-API-Key", "")],
        [("X-API-Key", "wrong")],
        [("X-API-Key", digest(KEY))],
        [("X-API-Key", KEY.upper())],
        [("X-API-Key", f"{KEY}, {KEY}")],
        [("X-API-Key", f"{KEY}\x00")],
        [("X-API-Key", KEY), ("X-API-Key", "wrong")],
        [("X-API-Key", "wrong"), ("X-API-Key", KEY)],
        [("X-API-Key", KEY), ("X-API-Key", KEY)],
        [("X_API_Key", KEY)],
        [("Authorization", f"Bearer {KEY}")],
        [("X-API-Key", "wrong"), ("Authorization", f"Bearer {KEY}")],
        [("X-API-Key", f"Bearer {KEY}")],
        [("X-API-Key", f"{KEY} {KEY}")],
        [("X-API-Key", KEY.replace(" ", "\u00a0").encode("latin-1"))],
        [("Cookie", f"X-API-Key={KEY}")],
        [("X-API-Key", "ключ".encode())],
        [("X-API-Key", b"\xff" * 4096)],
    ],
)
def test_tricks_with_headers_fail(client: TestClient, photo: bytes, headers: list[tuple[str, str | bytes]]) -> None:
    answer = client.post("/generate-caption", files={"image": photo}, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "bad_key")
    assert answer.headers["www-authenticate"] == 'ApiKey realm="snap2caption", header="X-API-Key"'


@pytest.mark.parametrize(
    "path",
    [
        "//generate-caption",
        "/generate-caption/",
        "/GENERATE-CAPTION",
        "/%67enerate-caption",
        "/healthz/../generate-caption",
        "/healthz/%2e%2e/generate-caption",
        "/healthz%2f..%2fgenerate-caption",
        "/metrics;/../v1/generate-caption",
        "/metrics%00",
        "/docs/",
        "/generate-caption?X-API-Key=" + KEY.replace(" ", "+"),
        "/generate-caption?api_key=" + KEY.replace(" ", "+"),
    ],
)
def test_tricks_with_paths_fail(client: TestClient, photo: bytes, path: str) -> None:
    headers = {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz", "X-HTTP-Method-Override": "GET"}
    answer = client.post(path, files={"image": photo}, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "bad_key")


def test_a_refusal_comes_before_the_body_is_read(client: TestClient) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        pytest.fail("the body was read")

    assert client.post("/generate-caption", content=body()).status_code == 401


def guess(client: TestClient, key: str, path: str = "/v1/voice") -> int:
    headers = {"Authorization": f"Bearer {key}"} if path == "/metrics" else {"X-API-Key": key}
    return client.get(path, headers=headers).status_code


@pytest.mark.parametrize("path", ["/v1/voice", "/metrics"])
def test_a_peer_that_sends_many_wrong_keys_is_locked_out(served: ServedModel, tmp_path: Path, path: str) -> None:
    app = guarded(served, tmp_path, metrics_token_hash=digest(TOKEN), failed_keys_per_minute=3)
    right = TOKEN if path == "/metrics" else KEY
    with (
        TestClient(app) as guessing,
        TestClient(app, client=("192.0.2.7", 1)) as colleague,
        TestClient(app, client=("2001:db8::1", 1)) as household,
        TestClient(app, client=("2001:db8::ffff:1", 1)) as same_household,
    ):
        assert guess(colleague, right, path) == 200
        # A request without a key does not count as a guess.
        assert {guessing.get("/v1/voice").status_code for _ in range(5)} == {401}
        assert [guess(guessing, f"guess {number}", path) for number in range(5)] == [401, 401, 401, 429, 429]
        refused = guessing.get("/v1/voice", headers={"X-API-Key": "one more"})
        assert refused.json()["reason"] == "wrong_keys"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        # A correct guess is not revealed during the lockout. Others are not locked out, and the probes still
        # answer.
        assert guess(guessing, right, path) == 429
        assert guess(colleague, right, path) == 200
        assert guessing.get("/healthz").status_code == 200
        # A key that was valid from this address before still works, even if others guess from there.
        assert [guess(colleague, f"guess {number}", path) for number in range(4)] == [401, 401, 401, 429]
        assert guess(colleague, right, path) == 200
        # An IPv6 household has countless addresses, so its whole /64 network is locked out.
        assert [guess(household, f"guess {number}", path) for number in range(3)] == [401, 401, 401]
        assert guess(same_household, "another guess", path) == 429


def test_a_key_of_the_environment_is_a_creator_of_its_own(served: ServedModel, tmp_path: Path) -> None:
    def creators(app: FastAPI, headers: dict[str, str]) -> str:
        @app.get("/who")
        def who(request: Request) -> str:
            return str(request.state.creator)

        with TestClient(app) as client:
            return str(client.get("/who", headers=headers).json())

    assert creators(guarded(served, tmp_path), {"X-API-Key": KEY}) == digest(KEY)
    keyless = build_app(ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite"), lambda: served)
    assert creators(keyless, {"X-API-Key": KEY}) == digest("")


def test_with_keys_the_metrics_need_their_token(served: ServedModel, tmp_path: Path) -> None:
    for more, answers in (({"metrics_token_hash": digest(TOKEN)}, 200), ({}, 401)):
        with TestClient(guarded(served, tmp_path, **more)) as client:
            for headers in ({}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}):
                answer = client.get("/metrics", headers=headers)
                assert (answer.status_code, answer.json()["reason"]) == (401, "bad_token")
                assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
            assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == answers
            security = client.get("/openapi.json").json()["paths"]["/metrics"]["get"]["security"]
            assert security == [{"metrics_token": []}]
