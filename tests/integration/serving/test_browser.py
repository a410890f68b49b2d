"""Pages in a real browser against a service without keys; its API documentation loads nothing from other hosts."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import patience
import pytest
from chromium import chromium
from playwright.sync_api import Browser, Page
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from web_server import listening

from serving.app import build_app
from serving.feedback.service import open_feedback_service
from serving.settings import ServingSettings

pytestmark = pytest.mark.integration

REBOUND = "rebound.example"
"""A name whose DNS, as the browser is told, points to this machine."""

WRITE = """async ([service, mode, own]) => {
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 64
    canvas.getContext('2d').fillRect(0, 0, 64, 64)
    const photo = await new Promise((done) => canvas.toBlob(done, 'image/jpeg'))
    const form = new FormData()
    form.append('image', photo, 'photo.jpg')
    for (const [name, value] of [['caption', 'x'], ['edited_caption', own], ['rating', '5']]) form.append(name, value)
    return fetch(`${service}/v1/feedback`, { method: 'POST', body: form, mode }).then((answer) => answer.status, () => -1)
}"""
"""Sends feedback whose caption becomes part of the voice: a "simple" request, which no preflight stops.

Returns the status as the page sees it.
"""


Answer = tuple[str, str, int]
"""Of a request its method and path, and the status."""


def recording(app: ASGIApp, answers: "queue.Queue[Answer]") -> ASGIApp:
    """Return *app* with what it answers browsers kept: a page is not told of what it may not read."""

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and b"Mozilla" in dict(scope["headers"])[b"user-agent"]:
                answers.put((scope["method"], scope["path"], message["status"]))
            await send(message)

        await app(scope, receive, told)

    return recorded


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    page: str
    """Of another origin, which nobody allowed."""
    named: str
    """Of another origin, which is allowed."""

    answers: "queue.Queue[Answer]"
    """Those that the service gave to a browser, in their order."""

    def next_answer(self) -> Answer:
        return self.answers.get(timeout=patience.LONGEST)

    def voice(self) -> list[str]:
        captions: list[str] = patience.get(f"{self.url}/v1/voice").json()["captions"]
        return captions


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service without keys and without a model, and two pages of other origins."""
    folder = tmp_path_factory.mktemp("browser")
    pages = Starlette(routes=[Route("/", lambda _: HTMLResponse("<title>A page</title>"))])
    with listening(pages) as page, listening(pages) as named:
        files = {"cache_dir": folder, "voice_file": folder / "voice.sqlite", "feedback_dir": folder / "feedback"}
        settings = ServingSettings(**files, cors_origins=(named.rstrip("/"),))
        feedback_service = open_feedback_service(settings, (folder / "store").as_uri())
        answers: queue.Queue[Answer] = queue.Queue()
        with listening(recording(build_app(settings, lambda: None, feedback_service=feedback_service), answers)) as url:
            yield Served(url.rstrip("/"), page, named, answers)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as launched:
        yield launched


def new_page(browser: Browser) -> Page:
    page = browser.new_page()
    page.set_default_timeout(1000 * patience.LONGEST)
    return page


def test_a_page_of_another_origin_writes_nothing(browser: Browser, served: Served) -> None:
    page = new_page(browser)
    page.goto(served.page)
    for mode in ("no-cors", "cors"):
        page.evaluate(WRITE, [served.url, mode, "WRITTEN BY ANOTHER PAGE"])
        assert served.next_answer() == ("POST", "/v1/feedback", 403)
    # A plain form, a frame that has no origin, and a request without an Origin header.
    attempts = {
        f'<form method="post" enctype="multipart/form-data" action="{served.url}/v1/feedback"><input name="rating" value="5"></form>'
        "<script>document.forms[0].submit()</script>": "POST",
        f"""<iframe sandbox="allow-scripts" srcdoc="<script>fetch('{served.url}/v1/feedback', {{method: 'DELETE'}})</script>"></iframe>""": "OPTIONS",
        f"""<iframe sandbox="allow-scripts" srcdoc="<script>fetch('{served.url}/v1/feedback', {{mode: 'no-cors'}})</script>"></iframe>""": "GET",
        f'<img src="{served.url}/v1/feedback">': "GET",
        f'<script src="{served.url}/v1/feedback"></script>': "GET",
    }
    page.close()
    for html, method in attempts.items():
        page = new_page(browser)
        page.goto(served.page)
        page.set_content(html, wait_until="commit")
        assert served.next_answer() == (method, "/v1/feedback", 403), html
        page.close()
    assert served.voice() == []


def test_a_page_under_a_rebound_name_reads_nothing(browser: Browser, served: Served) -> None:
    page = new_page(browser)
    answer = page.goto(f"http://{REBOUND}:{urlsplit(served.url).port}/v1/voice")
    assert answer is not None
    assert (answer.status, answer.json()["reason"]) == (421, "foreign_host")
    assert served.next_answer() == ("GET", "/v1/voice", 421)
    page.close()


def test_the_documentation_asks_nobody_else(browser: Browser, served: Served) -> None:
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{served.url}/docs")
    page.locator("#operations-voice-read_voice_v1_voice_get").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    assert complaints == []
    assert {url.removeprefix(served.url) for url in asked if url.startswith(served.url)} >= {
        "/docs",
        "/openapi.json",
        "/v1/voice",
    }
    assert [url for url in asked if not url.startswith((f"{served.url}/", "data:"))] == []
    page.close()


def test_the_services_own_page_and_one_that_is_named_may_write(browser: Browser, served: Served) -> None:
    page = new_page(browser)
    for address, own in ((f"{served.url}/docs", "By our page"), (served.named, "By a page that is named")):
        page.goto(address)
        assert page.evaluate(WRITE, [served.url, "cors", own]) == 202
    assert served.voice() == ["By a page that is named", "By our page"]
    page.close()
