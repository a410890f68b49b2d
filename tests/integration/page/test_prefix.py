"""The page under a path prefix, as a proxy publishes it."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_visit import visit
from playwright.sync_api import Browser, expect
from web_server import listening

from serving.app import build_app
from serving.settings import ServingSettings

pytestmark = pytest.mark.integration

PREFIX = "/team/captions"


def test_all_of_it_stays_below_the_prefix(browser: Browser, tmp_path: Path) -> None:
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite", root_path=PREFIX)
    asked: set[str] = set()
    with listening(build_app(settings, lambda: None)) as url, visit(browser, url.rstrip("/")) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.add(urlsplit(request.url).path))
        # Without its slash, which the page's relative addresses need.
        page.goto(PREFIX)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        with page.expect_response(lambda response: response.url.endswith(f"{PREFIX}/v1/voice")) as answer:
            page.goto(f"{PREFIX}/#/voice")
        assert answer.value.ok
        manifest = page.locator("link[rel=manifest]").evaluate("link => link.href")
        installed = page.request.get(manifest)
        assert (installed.headers["content-type"], installed.ok) == ("application/manifest+json", True)
    assert {path for path in asked if not path.startswith(f"{PREFIX}/")} == {PREFIX}
