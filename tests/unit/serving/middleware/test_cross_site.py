from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from serving.app import build_app
from serving.feedback.service import open_feedback_service
from serving.feedback_app import build_intake
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

PAGE, OTHER = "https://app.example.com", "https://evil.example.com"
HERE = "http://127.0.0.1:8000"


def settings(folder: Path, **more: object) -> ServingSettings:
    files = {"cache_dir": folder, "voice_file": folder / "voice.sqlite", "feedback_dir": folder / "feedback"}
    return ServingSettings(**files, **more)


@pytest.fixture(scope="module", params=["with captions", "feedback alone"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service without keys at 127.0.0.1:8000."""
    folder = tmp_path_factory.mktemp("service")
    ours = settings(folder, cors_origins=(PAGE,), allowed_hosts=("captions.example.com", "other.example.com:8443"))
    feedback_service = open_feedback_service(ours, (folder / "store").as_uri())
    app = (
        build_intake(ours, feedback_service)
        if request.param == "feedback alone"
        else build_app(ours, lambda: None, feedback_service=feedback_service)
    )
    with TestClient(app, base_url=HERE) as client:
        yield client


def asked(client: TestClient, headers: dict[str, str], method: str = "DELETE", path: str = "/v1/feedback/0") -> int:
    """Return what a request without a body is answered: 404 where it got to the route; all that is refused says why."""
    answer = client.request(method, path, headers=headers)
    if answer.status_code in {403, 421}:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == {403: "foreign_origin", 421: "foreign_host"}[answer.status_code]
    return answer.status_code


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:9", "127.9.8.7", "[::1]", "[::1]:8000",
        "captions.example.com", "Captions.Example.com:8080", "other.example.com:8443",
    ],
)  # fmt: skip
def test_loopback_names_and_those_that_are_allowed_are_answered(client: TestClient, host: str) -> None:
    assert asked(client, {"Host": host}) == 404


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com", "evil.example.com:8000", "127.0.0.1.evil.example.com", "localhost.evil.example.com", "evil.localhost",
        "evil.captions.example.com", "captions.example.com.evil.example.com", "captions.example.co", "other.example.com", "other.example.com:84430",
        "0.0.0.1", "192.168.1.5:8000", "[::2]", "[::ffff:127.0.0.1]", "::1", "2130706433", "0x7f.1", "127.1", "user@localhost", "localhost@evil",
        "localhost/", "localhost:port", "localhost:", "localhost:8000:8000", "", " ", "*",
    ],
)  # fmt: skip
def test_no_other_name_is_answered(client: TestClient, host: str) -> None:
    for path in ("/v1/feedback", "/metrics", "/openapi.json", "/nowhere"):
        assert asked(client, {"Host": host}, "GET", path) == 421


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": HERE},
        {"Origin": PAGE},
        {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
        {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
        {"Host": "localhost", "Origin": "http://localhost"},
        {"Host": "localhost:80", "Origin": "http://localhost"},
    ],
)
def test_own_pages_and_those_that_are_named_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert asked(client, headers) == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": OTHER},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://127.0.0.1:8000"},
        {"Origin": "http://localhost:8000"},
        {"Origin": f"{HERE}.evil.example.com"},
        {"Origin": f"{PAGE}:8443"},
        {"Origin": f"{PAGE}.evil.example.com"},
        {"Origin": "https://evil.app.example.com"},
        {"Origin": "http://app.example.com"},
        {"Origin": f"{PAGE}, {OTHER}"},
        {"Origin": OTHER, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
def test_no_page_of_another_origin_is_answered(client: TestClient, headers: dict[str, str]) -> None:
    asks = {"Access-Control-Request-Method": "DELETE"}
    for method, path in (("DELETE", "/v1/feedback"), ("GET", "/metrics"), ("POST", "/feedback"), ("PATCH", "/nowhere")):
        assert asked(client, headers, method, path) == 403
    assert asked(client, headers | asks, "OPTIONS") == 403


def test_a_link_leads_to_a_page_and_nowhere_else(client: TestClient) -> None:
    follows = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert asked(client, follows, "GET", "/docs") == 200
    assert asked(client, follows, "GET", "/") in {200, 404}
    assert asked(client, follows | {"Sec-Fetch-Dest": "iframe"}, "GET", "/") == 403
    assert asked(client, follows | {"Sec-Fetch-Dest": "iframe"}, "GET", "/docs") == 403
    assert asked(client, follows, "GET", "/metrics") == 403


def test_it_is_refused_before_the_body_is_read(client: TestClient) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        pytest.fail("the body was read")

    assert client.post("/v1/feedback", content=body(), headers={"Origin": OTHER}).status_code == 403
    assert client.post("/v1/feedback", content=body(), headers={"Host": "evil.example.com"}).status_code == 421


def test_with_keys_the_key_decides(tmp_path: Path) -> None:
    with TestClient(build_app(settings(tmp_path, api_key_hashes=("0" * 64,)), lambda: None)) as client:
        for path, status in (("/v1/voice", 401), ("/healthz", 200)):
            assert asked(client, {"Host": "captions.example.com", "Origin": OTHER}, "GET", path) == status
