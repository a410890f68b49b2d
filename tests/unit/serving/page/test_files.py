"""The page's files: types, caching, compression and headers, and who may load them."""

import gzip
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from creators import creator
from fastapi import FastAPI
from patience import LONGEST, until
from rich.console import Console
from starlette.testclient import TestClient

from serving.app import build_app
from serving.page.files import HEADERS
from serving.server import run
from serving.settings import ServingSettings
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit

SCRIPT, FONT, MANIFEST = "/assets/index-DiwrgTda.js", "/assets/figtree-Bq3xYz01.woff2", "/static/page.webmanifest"
EVERYWHERE = {
    **HEADERS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
YEAR = "public, max-age=31536000, immutable"

MakeClient = Callable[..., TestClient]


@pytest.fixture
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page, compressed as the build does it; what is said to be brotli is just another text."""
    folder = tmp_path / "dist"
    for path, content in (("/index.html", "<p>page</p>"), (SCRIPT, "script()"), (FONT, "font"), (MANIFEST, "{}")):
        file = folder / path.strip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        if path != FONT:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content.encode(), mtime=0))
            file.with_name(f"{file.name}.br").write_text(f"brotli of {content}")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr("serving.app.DIST", folder)
    return folder


@pytest.fixture
def make_client(dist: Path, tmp_path: Path) -> MakeClient:
    def make(base_url: str = "http://127.0.0.1:8000", **more: object) -> TestClient:
        return TestClient(make_app(tmp_path, **more), base_url=base_url)

    return make


def make_app(folder: Path, **more: object) -> FastAPI:
    return build_app(ServingSettings(cache_dir=folder, voice_file=folder / "voice.sqlite", **more), lambda: None)


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.mark.parametrize(
    ("path", "media_type", "caching"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        (SCRIPT, "text/javascript; charset=utf-8", YEAR),
        (FONT, "font/woff2", YEAR),
        (MANIFEST, "application/manifest+json", "no-cache"),
    ],
)
def test_each_file_has_its_type_and_its_time_in_caches(
    client: TestClient, path: str, media_type: str, caching: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["cache-control"] == caching
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, caching)
    for response in (answer, head, again):
        assert {name: response.headers[name] for name in EVERYWHERE} == EVERYWHERE


@pytest.mark.parametrize(
    ("accepted", "coding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"brotli of script()"),
        ("GZIP;q=1.0, br;q=0", "gzip", gzip.compress(b"script()", mtime=0)),
        ("deflate", None, b"script()"),
        ("gzip;q=0.000", None, b"script()"),
        ("", None, b"script()"),
    ],
)
def test_the_best_accepted_coding_is_sent(client: TestClient, accepted: str, coding: str | None, body: bytes) -> None:
    with client.stream("GET", SCRIPT, headers={"Accept-Encoding": accepted}) as answer:
        assert b"".join(answer.iter_raw()) == body
    assert (answer.headers.get("content-encoding"), answer.headers["vary"]) == (coding, "Accept-Encoding")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


def test_what_is_not_compressed_has_one_form(client: TestClient) -> None:
    answer = client.get(FONT, headers={"Accept-Encoding": "br"})
    assert (answer.text, "vary" in answer.headers, "content-encoding" in answer.headers) == ("font", False, False)


@pytest.mark.parametrize(
    "path",
    ["/assets/gone-AAAAAAAA.js", "/assets/", "/assets", "/static/../../secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
     "/assets//etc/passwd", f"/assets/{'x' * 300}", "/assets/x%00y", "/index.html"],
)  # fmt: skip
def test_a_file_that_is_not_there_is_a_problem(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "page</p>" not in answer.text
    assert "secret" not in answer.text
    assert answer.headers.get("cache-control") in {"no-store", None}


def test_a_stale_page_is_told_to_reload(client: TestClient) -> None:
    answer = client.get("/assets/gone-AAAAAAAA.js")
    assert answer.json()["reason"] == "no_such_file"
    assert answer.headers["cache-control"] == "no-store"


def test_nobody_needs_a_key_for_the_page(make_client: MakeClient) -> None:
    client = make_client(api_key_hashes=(creator("one"),), requests_per_minute=1)
    key = {"X-API-Key": "one"}
    for path in ("/", SCRIPT, MANIFEST, FONT):
        assert client.get(path).status_code == 200
        # Nor does it count against the captions of a creator whose key is sent.
        answer = client.get(path, headers=key)
        assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)
    assert client.get("/assets/gone-AAAAAAAA.js").status_code == 404
    for method, path in (("POST", "/"), ("PUT", SCRIPT), ("GET", "/v1/voice"), ("GET", "/nowhere")):
        assert client.request(method, path).status_code == 401
    assert client.get("/nowhere", headers=key).status_code == 404


def test_other_origins_may_link_to_the_page_and_no_more(make_client: MakeClient) -> None:
    with_keys = make_client(api_key_hashes=(creator("one"),), cors_origins=("*",))
    answer = with_keys.get(SCRIPT, headers={"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    client = make_client()
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    for path, headers in (
        ("/", link | {"Sec-Fetch-Dest": "iframe"}),
        ("/", {"Origin": "https://evil.example.com"}),
        (SCRIPT, link),
        (SCRIPT, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}),
    ):
        assert client.get(path, headers=headers).status_code == 403
    assert client.get("/", headers={"Host": "rebound.example.com"}).status_code == 421


@pytest.mark.parametrize("prefix", ["", "/team/captions"])
def test_a_proxy_may_strip_its_prefix_or_not(make_client: MakeClient, prefix: str) -> None:
    client = make_client(root_path="/team/captions")
    assert client.get(f"{prefix}/").text == "<p>page</p>"
    assert client.get(f"{prefix}{SCRIPT}").text == "script()"
    bare = client.get("/team/captions", follow_redirects=False)
    assert (bare.status_code, bare.headers["location"]) == (308, "/team/captions/")


def test_without_the_page_nothing_has_changed(make_client: MakeClient) -> None:
    client = make_client(page=False)
    for path in ("/", SCRIPT):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    assert make_client(page=False, api_key_hashes=(creator("one"),)).get("/").status_code == 401


def test_a_page_that_is_not_built_says_how_to_get_it(make_client: MakeClient, dist: Path) -> None:
    (dist / "index.html").rename(dist / "elsewhere.html")
    client = make_client(api_key_hashes=(creator("one"),))
    answer = client.get("/")
    assert (answer.status_code, answer.json()["reason"]) == (404, "page_not_built")
    assert "`make web`" in answer.json()["detail"]
    # Once it is built, no restart is needed.
    (dist / "elsewhere.html").rename(dist / "index.html")
    assert client.get("/").text == "<p>page</p>"


@pytest.mark.parametrize(("page", "told"), [(True, "Open {}/ to caption photos"), (False, "The service is up at {};")])
@pytest.mark.usefixtures("dist")
def test_the_terminal_is_told_what_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: bool, told: str
) -> None:
    terminal = StringIO()
    monkeypatch.setattr("serving.server.stderr", Console(file=terminal, force_terminal=True, color_system=None))
    give_up: list[Callable[[], None]] = []

    def make(stop: Callable[[], None]) -> FastAPI:
        give_up.append(stop)
        return make_app(tmp_path, page=page)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serving = pool.submit(run, make, listener, ServingSettings(cache_dir=tmp_path))
        until(terminal.getvalue)
        give_up[0]()
        with pytest.raises(UserError):
            serving.result(LONGEST)
        assert told.format(address) in terminal.getvalue()


def test_the_page_is_no_part_of_the_api(make_client: MakeClient) -> None:
    with_page, without = (make_client(page=page).get("/openapi.json").json() for page in (True, False))
    assert with_page == without
