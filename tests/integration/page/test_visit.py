"""A visit of the page: what it loads, how it looks to assistive technology and on small screens, and the key."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import violations
from chromium import patient
from creators import KEYS
from demo_service import DemoService, demo_service
from page_visit import PHONE, visit
from playwright.sync_api import Browser, Page, expect

from snap2caption.text.language import find_language

pytestmark = pytest.mark.integration

VIEWS = ("create", "voice", "history", "sent", "about")

MOST_BYTES = 200_000
"""Compressed bytes of a first visit, before anything that only some visitors need."""

BARS = """() => [...document.querySelectorAll('body *')]
    .filter((one) => ['fixed', 'sticky'].includes(getComputedStyle(one).position) && one.clientHeight > 1)
    .map((one) => one.tagName)"""
"""Elements that stay in view while the page is scrolled."""


def open_view(page: Page, view: str) -> None:
    page.goto("/" if view == "create" else f"/#/{view}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoService]:
    """The service with keys."""
    with demo_service(tmp_path_factory.mktemp("locked"), failed_keys_per_minute=3) as running:
        yield running


@pytest.mark.parametrize("width", [320, 768, 1440])
@pytest.mark.parametrize("view", VIEWS)
def test_every_width_shows_all(browser: Browser, service: DemoService, view: str, width: int) -> None:
    with visit(browser, service.url, viewport={"width": width, "height": 700}) as context:
        page = context.new_page()
        open_view(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_short_window_is_left_to_the_content(browser: Browser, service: DemoService) -> None:
    # A desktop of 1280x1024 zoomed to 400 % (WCAG 1.4.10).
    with visit(browser, service.url, viewport={"width": 320, "height": 256}) as context:
        page = context.new_page()
        open_view(page, "create")
        assert page.evaluate(BARS) == []
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate(BARS) == ["NAV"]


def test_a_first_visit_is_light(browser: Browser, service: DemoService) -> None:
    with visit(browser, service.url) as context:
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        sizes: list[float] = []
        network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.goto("/", wait_until="networkidle")
        expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
        assert 50_000 < sum(sizes) <= MOST_BYTES


def test_languages_that_are_suggested_are_known_to_the_service(page: Page) -> None:
    names = [option.get_attribute("value") or "" for option in page.locator("datalist option").all()]
    assert len(names) > 30
    assert [name for name in names if find_language(name) is None] == []


def test_options_are_remembered(page: Page) -> None:
    page.get_by_label("Witty").check()
    page.get_by_text("More options").click()
    page.get_by_label("Place").fill("Pier 39")
    page.get_by_label("Short").check()
    page.reload()
    expect(page.get_by_label("Witty")).to_be_checked()
    expect(page.get_by_text("Short · Pier 39 · 8 hashtags")).to_be_visible()


def test_a_key_is_asked_for_and_a_wrong_one_explained(browser: Browser, locked: DemoService) -> None:
    with visit(browser, locked.url) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Your key").fill("wrong")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_contain_text("doesn't know this key")
        assert violations(page) == []
        page.get_by_label("Your key").fill(KEYS[0])
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
        # It lasts as long as the session.
        page.reload()
        expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
        other = context.new_page()
        other.goto("/")
        expect(other.get_by_label("Your key")).to_be_visible()


def test_a_key_is_remembered_if_its_owner_says_so(browser: Browser, locked: DemoService) -> None:
    with visit(browser, locked.url) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Your key").fill(KEYS[0])
        page.get_by_label("Remember it on this device").check()
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
        other = context.new_page()
        other.goto("/")
        expect(other.get_by_role("button", name="Choose photos")).to_be_visible()


def test_a_key_in_the_address_is_taken_and_never_sent_in_it(browser: Browser, locked: DemoService) -> None:
    with visit(browser, locked.url) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"/#key={KEYS[1]}")
        expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
        assert page.url == f"{locked.url}/"
        assert page.evaluate("history.length") <= 2
        assert [url for url in asked if KEYS[1] in url.partition("#")[0]] == []


def test_another_site_can_neither_frame_nor_read_the_page(browser: Browser, service: DemoService) -> None:
    context = browser.new_context()
    page = context.new_page()
    with page.expect_console_message(lambda message: "frame" in message.text.lower() or "403" in message.text):
        page.set_content(f'<iframe src="{service.url}/"></iframe>', wait_until="commit")
    assert page.evaluate(f"fetch('{service.url}/readyz').then(() => 'read', () => 'refused')") == "refused"
    context.close()


BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"


def test_the_first_frame_has_the_systems_theme(browser: Browser, service: DemoService) -> None:
    seen = []
    for scheme in ("light", "dark"):
        # Without scripts, there is nothing but the first frame.
        with visit(browser, service.url, color_scheme=scheme, java_script_enabled=False) as context:
            page = context.new_page()
            page.goto("/")
            seen.append(page.locator("html").evaluate("(html) => getComputedStyle(html).backgroundColor"))
    assert seen == ["rgb(251, 248, 245)", "rgb(21, 18, 16)"]


def test_a_chosen_theme_outlives_the_visit(page: Page) -> None:
    page.goto("/#/about")
    page.get_by_label("Dark").check()
    assert page.evaluate(BACKGROUND) == "rgb(21, 18, 16)"
    page.reload()
    expect(page.get_by_label("Dark")).to_be_checked()
    assert page.evaluate(BACKGROUND) == "rgb(21, 18, 16)"


def test_motion_is_reduced_where_asked(browser: Browser, service: DemoService) -> None:
    with visit(browser, service.url, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto("/")
        durations = page.evaluate(
            "[...document.querySelectorAll('*')].map((element) => parseFloat(getComputedStyle(element).transitionDuration))"
        )
        assert max(durations) < 0.001


def test_a_choice_is_seen_where_the_system_chooses_the_colors(page: Page) -> None:
    page.emulate_media(forced_colors="active")
    expect(page.locator("label", has=page.get_by_label("Your voice"))).to_have_css("outline-style", "solid")
    expect(page.locator("label", has=page.get_by_label("Witty"))).to_have_css("outline-style", "none")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent || document.activeElement.value"))
    assert reached >= {"Skip to content", "Choose photos", "Voice", "History", "About"}


def test_the_page_can_be_installed(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # Each test has a private window, in which nothing can be installed.
    assert [error["errorId"] for error in errors if error["errorId"] != "in-incognito"] == []


def test_a_fault_of_the_page_does_not_leave_it_blank(browser: Browser, service: DemoService, photo_file: Path) -> None:
    with patient(browser.new_context(base_url=service.url, viewport=PHONE)) as context:
        page = context.new_page()
        # No service answers so.
        answer = {
            "caption": "x",
            "hashtags": [],
            "variants": [],
            "alt_texts": [],
            "notices": [],
            "request_id": "0" * 32,
        }
        page.route(
            "**/v1/generate-caption",
            lambda route: route.fulfill(
                content_type="text/event-stream", body=f"event: answer\ndata: {json.dumps(answer)}\n\n"
            ),
        )
        page.goto("/")
        page.locator("input[type=file][multiple]").set_input_files(photo_file)
        page.get_by_role("button", name="Write my caption").click()
        expect(page.get_by_role("heading", name="The page has failed")).to_be_visible()
        page.get_by_role("button", name="Load again").click()
        expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
