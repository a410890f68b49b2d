"""The website in a real browser: it needs no other host, draws its diagrams, and finds what it is asked for."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import chromium
from patience import LONGEST
from playwright.sync_api import Page, Route, expect
from starlette.staticfiles import StaticFiles
from web_server import listening

from docsite.build import SITE, build
from docsite.navigation import CONFIG

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
PATIENCE = LONGEST * 1000
"""Milliseconds that only what never happens takes."""

OPEN = """const attach = Element.prototype.attachShadow
Element.prototype.attachShadow = function (options) { return attach.call(this, { ...options, mode: 'open' }) }"""
"""Opens what the theme closes to scripts: its diagrams and its search."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in another folder, so that the checkout's own website stays as it is."""
    root = tmp_path_factory.mktemp("project")
    for path in ROOT.iterdir():
        if path.name != "build" and not path.name.startswith("."):
            (root / path.name).symlink_to(path)
    # Zensical works where its settings really are.
    (root / CONFIG).unlink()
    shutil.copy(ROOT / CONFIG, root)
    return root


@pytest.fixture(scope="module")
def address(project: Path) -> Iterator[str]:
    assert build(project) == []
    with listening(StaticFiles(directory=project / SITE, html=True)) as address:
        yield address


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    """A page of a browser that reaches nothing but the website, and fails the test if it tries."""
    elsewhere = []

    def guard(route: Route) -> None:
        if route.request.url.startswith(address):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    with chromium() as browser:
        page = browser.new_page(base_url=address)
        page.route("**/*", guard)
        page.add_init_script(OPEN)
        yield page
    assert elsewhere == []


def test_diagrams_are_drawn(page: Page) -> None:
    page.goto("docs/architecture/")
    box = page.locator("div.mermaid svg").first.bounding_box(timeout=PATIENCE)
    assert box is not None
    assert min(box["width"], box["height"]) > 100
    expect(page.locator("pre.mermaid")).to_have_count(0, timeout=PATIENCE)


def test_search_finds_the_reference(page: Page) -> None:
    page.goto("")
    # Until the index is there, its dialog says that it is loaded.
    expect(page.locator("dialog [role=status]")).to_have_text("", timeout=PATIENCE)
    page.locator(".md-search__button").click()
    page.get_by_role("combobox").fill("StoreError", timeout=PATIENCE)
    found = page.locator("a[href*='reference/store/'][href$='#snap2caption.store.base.StoreError']")
    expect(found.first).to_be_visible(timeout=PATIENCE)


def test_a_page_of_the_root_is_on_the_website(page: Page) -> None:
    page.goto("docs/security/")
    page.get_by_role("article").get_by_role("link", name="SECURITY.md").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Security", timeout=PATIENCE)
