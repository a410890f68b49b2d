"""The built page, served by the real service over the demo base, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import patience
import pytest
from chromium import chromium
from demo_service import DemoService, demo_service
from page_visit import visit
from playwright.sync_api import Browser, Page, expect

from demo.scenes.render import render
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=1000 * patience.LONGEST)
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


@pytest.fixture
def page(browser: Browser, service: DemoService) -> Iterator[Page]:
    """The page on a new visitor's phone."""
    with visit(browser, service.url) as context:
        opened = context.new_page()
        opened.goto("/")
        yield opened
