"""The built page, served by the real service over the demo base, in a real browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import patience
import pytest
from chromium import chromium, patient
from demo_service import DemoService, demo_service
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.scenes.render import render
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather

PHONE = {"width": 360, "height": 780}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoService]:
    """The service without keys. Tests share it, so each leaves it without voice and feedback."""
    with demo_service(tmp_path_factory.mktemp("page"), api_key_hashes="[]", max_new_tokens=48) as running:
        yield running


@pytest.fixture(scope="session")
def photo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that the demo base knows: the Golden Gate Bridge at sunset."""
    scene = Scene(City.SANFRANCISCO, Subject.GOLDEN_GATE, Time.SUNSET, Weather.CLEAR, Mood.CALM)
    path = tmp_path_factory.mktemp("photo") / "bridge.jpg"
    render(scene, 7).save(path, quality=92)
    return path


# Without slots: Playwright writes an attribute of its own to whatever listens.
@dataclass
class Watch:
    """What a page complained about, and which hosts it asked."""

    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._keep(message.type, message.text))
        page.on("request", lambda request: self._ask(request.url))

    def _keep(self, kind: str, text: str) -> None:
        # Chromium reports every refusal of the service as an error. What the page makes of it is tested.
        if kind in {"error", "warning"} and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    def _ask(self, url: str) -> None:
        if url.startswith("http"):
            self.hosts.add(url.split("/")[2])


@contextmanager
def visit(browser: Browser, url: str, **options: object) -> Iterator[BrowserContext]:
    """Open a context of its own, as a new visitor, and check at the end that no page broke the policy.

    The policy is the Content-Security-Policy, and that no other host is asked.
    """
    context = patient(browser.new_context(base_url=url, **{"viewport": PHONE, "has_touch": True, **options}))  # type: ignore[arg-type]
    watch = Watch()
    context.on("page", watch.follow)
    yield context
    context.close()
    assert watch.complaints == []
    assert watch.hosts <= {url.split("/")[2]}


@pytest.fixture
def page(browser: Browser, service: DemoService) -> Iterator[Page]:
    """The page on a new visitor's phone."""
    expect.set_options(timeout=1000 * patience.LONGEST)
    with visit(browser, service.url) as context:
        opened = context.new_page()
        opened.goto("/")
        yield opened
