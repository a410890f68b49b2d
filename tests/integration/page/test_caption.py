"""The caption in the page: written, edited, copied and shared, and what the page says when it can't be written.

The service is the real one. Its model is on a server that writes what a test tells it, when it tells it.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe import violations
from demo_service import DemoService
from openai_server import Server, openai_server
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, expect
from service_process import environment, server

from snap2caption.settings import Settings

pytestmark = pytest.mark.integration

MODEL = "gemma3:4b"

TAGS = ["#sf", "#sunset", "#bay", "#bridge", "#fog", "#travel", "#sky"]
BEGINNING = "Golden hour over the bay.\nAnd "
"""What the service shows before the rest has come: a first line may yet turn out to be an introduction."""
GOLDEN = [BEGINNING, "nobody in a hurry.", "\n" + " ".join(TAGS)]
CAPTION = "Golden hour over the bay.\nAnd nobody in a hurry."
POST = f"{CAPTION}\n\n#sf #sunset #bay #bridge #fog"

SHARING = """() => {
    window.shared = []
    navigator.canShare = ({ files }) => files.length > 0
    navigator.share = async ({ files, text }) => {
        window.shared.push([await navigator.clipboard.readText(), text, ...files.map(({ name, type }) => `${name} ${type}`)])
    }
}"""
"""Headless Chromium has no share sheet: this one keeps what it is given, and what the clipboard has by then."""


@contextmanager
def scripted_service(folder: Path, engine: Server) -> Iterator[DemoService]:
    installation = Settings(
        state_dir=folder / "state", models_dir=folder / "models", mlflow_tracking_uri="http://127.0.0.1:9"
    )
    settings = {"MODEL": MODEL, "ENGINE_URL": engine.url, "ENGINE_KEY": engine.key}
    variables = {f"SNAP2CAPTION_SERVING_{name}": value for name, value in settings.items()}
    with server(folder, environment(installation, **variables)) as url:
        yield DemoService(url, folder)


@pytest.fixture(scope="module")
def model_server() -> Iterator[Server]:
    with openai_server("secret", MODEL) as running:
        yield running


@pytest.fixture(scope="module")
def service(model_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoService]:
    with scripted_service(tmp_path_factory.mktemp("scripted"), model_server) as running:
        yield running


@pytest.fixture(autouse=True)
def engine(model_server: Server) -> Iterator[Server]:
    """The server with the model, which writes `GOLDEN` unless it is told something else."""
    model_server.words, model_server.next_words, model_server.refusals = GOLDEN, [], []
    model_server.retry_after = None
    model_server.asked.clear()
    yield model_server
    model_server.pause.set()


class Result:
    """A page with a photo, and the result of it, as a creator handles them."""

    def __init__(self, page: Page, *photos: Path) -> None:
        self.page = page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator("input[type=file][multiple]").set_input_files(photos)

    def write(self) -> None:
        self.page.get_by_role("button", name=re.compile("^Write .* caption$")).click()

    @property
    def region(self) -> Locator:
        return self.page.get_by_role("region", name="Result")

    @property
    def told(self) -> Locator:
        """What screen readers are told."""
        return self.page.locator("div:has(> [aria-label=Result]) > [role=status]")

    @property
    def caption(self) -> Locator:
        return self.region.locator("textarea[aria-label=Caption]:not([inert] *)")

    @property
    def preview(self) -> Locator:
        return self.page.get_by_role("figure", name="Preview")

    @property
    def chosen(self) -> list[str]:
        """The hashtags that go into the post."""
        return self.region.get_by_role("button", pressed=True).all_inner_texts()

    def press(self, name: str) -> None:
        self.region.locator("button:not([inert] *)", has_text=re.compile(rf"^\s*{re.escape(name)}\s*$")).click()

    def clipboard(self) -> str:
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text

    def copied(self, name: str, confirmation: str) -> str:
        """What the button *name* copies."""
        self.press(name)
        expect(self.page.get_by_text(confirmation, exact=True)).to_be_visible()
        return self.clipboard()


@pytest.fixture
def result(page: Page, photo_file: Path) -> Result:
    return Result(page, photo_file)


@pytest.fixture
def written(result: Result) -> Result:
    result.write()
    expect(result.caption).to_have_value(CAPTION)
    return result


def test_the_caption_streams_in_and_is_told_once(result: Result, engine: Server) -> None:
    engine.pause.clear()
    result.write()
    expect(result.region).to_contain_text("Golden hour over")
    expect(result.told).to_have_text("Looking at your photo…")
    expect(result.caption).to_have_count(0)
    engine.pause.set()
    expect(result.caption).to_have_value(CAPTION)
    expect(result.told).to_have_text(f"Your caption is ready: {CAPTION}")
    assert result.chosen == TAGS[:5]
    # The third tap, after the photo and "Write my caption".
    assert result.copied("Copy everything", "Everything copied") == POST
    # The likeliest caption would be the same again.
    engine.words = ["Another caption.\n#sf"]
    result.write()
    expect(result.caption).to_have_value("Another caption.")
    assert len({body.get("seed") for body in engine.asked}) > 1


def test_a_caption_that_turns_out_unsafe_is_replaced(result: Result, engine: Server) -> None:
    engine.words = [BEGINNING, "you fucking ", "bastards."]
    engine.pause.clear()
    result.write()
    expect(result.region).to_contain_text("Golden hour over")
    engine.pause.set()
    expect(result.caption).to_have_value("A red bridge.")
    expect(result.region).to_contain_text("safe to publish")


def test_a_stopped_caption_leaves_nothing(result: Result, engine: Server) -> None:
    engine.pause.clear()
    result.write()
    expect(result.region).to_contain_text("Golden hour over")
    result.press("Stop")
    expect(result.region).to_have_count(0)


def test_variants_are_swiped_or_chosen_by_keyboard(result: Result, engine: Server) -> None:
    engine.next_words = [["One fog.\n#fog"], ["Two ferries.\n#sea"], ["Three bridges.\n#sky"]]
    result.page.get_by_text("More options").click()
    result.page.get_by_role("group", name="Captions to choose from").get_by_label("3").check()
    result.write()
    choice = result.region.get_by_role("group", name="3 captions to choose from")
    expect(choice).to_be_visible()
    captions = [field.input_value() for field in result.region.locator("textarea[aria-label=Caption]").all()]
    assert sorted(captions) == ["One fog.", "Three bridges.", "Two ferries."]
    choice.get_by_role("radio", name="1").focus()
    result.page.keyboard.press("ArrowRight")
    expect(result.caption).to_have_value(captions[1])
    expect(result.caption).to_be_in_viewport()
    result.caption.fill("Mine.")
    strip = result.region.locator(".snap-x").first
    strip.evaluate("(strip) => strip.scrollTo({ left: 2 * strip.clientWidth })")
    expect(choice.get_by_role("radio", name="3")).to_be_checked()
    expect(result.caption).to_have_value(captions[2])
    choice.get_by_label("2").check()
    expect(result.caption).to_have_value("Mine.")
    expect(result.caption).to_be_in_viewport()


def test_edits_are_counted_previewed_and_undone(written: Result) -> None:
    region, preview = written.region, written.preview
    expect(region).to_contain_text(f"{len(CAPTION)} / 125 before “more”")
    expect(region).to_contain_text(f"{len(POST)} / 2,200 with hashtags")
    expect(preview).to_contain_text("#fog")
    expect(preview.get_by_role("button", name="more")).to_have_count(0)
    height = written.caption.bounding_box()
    long = "A long look at the bay. " * 10
    written.caption.fill(long)
    expect(region).to_contain_text("240 / 125 before “more”")
    expect(preview).not_to_contain_text("#fog")
    grown = written.caption.bounding_box()
    assert height is not None
    assert grown is not None
    assert grown["height"] > height["height"]
    preview.get_by_role("button", name="more").click()
    expect(preview).to_contain_text("#fog")
    expect(preview.get_by_text("#fog")).not_to_have_css("color", preview.evaluate("(it) => getComputedStyle(it).color"))
    # A word that is wider than the screen, such as an address.
    written.caption.fill("W" * 120)
    expect(preview).to_contain_text("W" * 120)
    assert written.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    written.caption.fill("🌊" * 2200)
    expect(region).to_contain_text(f"shorten the caption by {len(POST) - len(CAPTION)}")
    region.get_by_role("button", name="Undo").click()
    expect(written.caption).to_have_value(CAPTION)


def test_hashtags_are_swapped_added_explained_and_removed(written: Result) -> None:
    region = written.region
    expect(region).to_contain_text("5 / 5 in the post")
    region.get_by_role("button", name="#sky", exact=True).click()
    expect(region).to_contain_text("turn 1 off")
    region.get_by_role("button", name="#sf", exact=True).click()
    expect(region.get_by_text("turn 1 off")).to_have_count(0)
    own = region.get_by_label("Add your own")
    own.fill("1")
    own.press("Enter")
    expect(region.get_by_role("alert")).to_contain_text("at least one letter")
    own.fill("Karl the Fog")
    own.press("Enter")
    expect(region).to_contain_text("6 / 5 in the post")
    dialog = written.page.get_by_role("dialog")
    region.get_by_role("button", name="About #karlthefog").click()
    expect(dialog).to_contain_text("You added this hashtag")
    written.page.keyboard.press("Escape")
    region.get_by_role("button", name="About #bay").click()
    expect(dialog).to_contain_text("Written for your photo")
    expect(dialog.get_by_role("meter", name="Fits your photo")).to_be_visible()
    dialog.get_by_role("button", name="Remove it from the list").click()
    expect(dialog).to_have_count(0)
    expect(region.get_by_role("heading", name="Hashtags")).to_be_focused()
    assert written.chosen == ["#sunset", "#bridge", "#fog", "#sky", "#karlthefog"]


def test_each_part_is_written_again_alone(written: Result, engine: Server) -> None:
    page, region = written.page, written.region
    written.caption.fill("My own words.")
    region.get_by_label("Add your own").fill("mine")
    region.get_by_role("button", name="Add", exact=True).click()

    engine.words = ["Other words.\n#pier #ferry #sea #water #city"]
    written.press("Replace")
    page.get_by_role("dialog").get_by_role("textbox").fill("the ferry")
    page.get_by_role("button", name="Replace the hashtags").click()
    expect(region.get_by_role("button", name="#pier", exact=True)).to_be_visible()
    expect(written.caption).to_have_value("My own words.")
    assert written.chosen == ["#pier", "#ferry", "#sea", "#water", "#mine"]
    assert any("the ferry" in body["messages"][0]["content"][1]["text"] for body in engine.asked)

    seeds = {body.get("seed") for body in engine.asked}
    engine.words = ["New words.\n#never"]
    written.press("Rewrite")
    page.get_by_role("button", name="Rewrite the caption").click()
    expect(written.region.locator("button", has_text="Rewrite")).to_be_focused()
    expect(written.caption).to_have_value("New words.")
    assert written.chosen == ["#pier", "#ferry", "#sea", "#water", "#mine"]
    assert any("My own words." in body["messages"][0]["content"][1]["text"] for body in engine.asked)
    assert {body.get("seed") for body in engine.asked} > seeds

    region.get_by_role("button", name="Undo").click()
    expect(written.caption).to_have_value("My own words.")
    expect(region.get_by_role("button", name="#pier", exact=True)).to_be_visible()


def test_each_part_is_copied(written: Result) -> None:
    assert written.copied("Copy caption", "Caption copied") == CAPTION
    assert written.copied("Copy hashtags", "Hashtags copied") == " ".join(TAGS[:5])
    written.region.get_by_role("textbox", name="Alt text").fill("A bridge in the fog.")
    assert written.copied("Copy alt text", "Alt text copied") == "A bridge in the fog."
    expect(written.preview.get_by_role("img", name="A bridge in the fog.")).to_be_visible()


def test_without_a_clipboard_the_text_is_selected(page: Page, photo_file: Path) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.reload()
    result = Result(page, photo_file)
    result.write()
    result.press("Copy everything")
    dialog = page.get_by_role("dialog", name="Copy this text")
    expect(dialog).to_contain_text("press Ctrl+C")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    page.keyboard.press("Control+C")
    page.keyboard.press("Escape")
    result.caption.fill("")
    result.caption.press("Control+V")
    expect(result.caption).to_have_value(POST)


def test_the_caption_is_copied_before_the_photo_is_shared(page: Page, photo_file: Path) -> None:
    page.add_init_script(f"({SHARING})()")
    page.reload()
    result = Result(page, photo_file)
    result.write()
    expect(result.region).to_contain_text("Instagram drops text that comes with a shared photo")
    result.press("Share photo")
    expect(page.get_by_text("Now paste your caption there")).to_be_visible()
    assert page.evaluate("window.shared") == [[POST, None, "photo-1.jpg image/jpeg"]]


def test_several_photos_have_an_alt_text_each(page: Page, photo_file: Path) -> None:
    result = Result(page, photo_file, photo_file)
    result.write()
    second = result.region.get_by_role("textbox", name="Alt text of photo 2")
    second.fill("The same bridge.")
    assert result.copied("Copy alt text of photo 2", "Alt text copied") == "The same bridge."
    expect(result.preview.get_by_role("img")).to_have_count(2)
    # They belong to their photos, wherever these go.
    page.get_by_role("button", name="Move right").click()
    expect(result.preview.get_by_role("img").first).to_have_accessible_name("The same bridge.")
    expect(result.region.get_by_role("textbox", name="Alt text of photo 1")).to_have_value("The same bridge.")
    page.get_by_role("button", name="Remove photo 2").click()
    expect(result.region.get_by_role("textbox", name="Alt text")).to_have_value("The same bridge.")


def test_a_part_is_written_again_for_the_photo_of_the_post(written: Result, engine: Server, tmp_path: Path) -> None:
    page = written.page
    other = tmp_path / "other.png"
    Image.new("RGB", (640, 480), "teal").save(other)
    page.get_by_role("button", name="Remove photo 1").click()
    page.locator("input[type=file][multiple]").set_input_files(other)
    engine.pause.clear()
    written.write()
    expect(written.region).to_contain_text("Golden hour over")
    written.press("Stop")
    engine.pause.set()
    engine.words = ["New words.\n#never"]
    written.press("Rewrite")
    page.get_by_role("button", name="Rewrite the caption").click()
    expect(written.caption).to_have_value("New words.")
    pictures = [body["messages"][0]["content"][0]["image_url"]["url"] for body in engine.asked]
    assert pictures[-1] == pictures[0]
    assert len(set(pictures)) == 2


def test_the_back_button_closes_a_dialog(page: Page, photo_file: Path) -> None:
    page.goto("/#/voice")
    page.goto("/#/")
    result = Result(page, photo_file)
    result.write()
    result.press("Rewrite")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.locator("dialog[open]")).to_have_count(0)
    # It would block the page.
    page.get_by_role("link", name="Create").click()
    expect(result.caption).to_be_visible()


def test_the_focus_stays_while_a_caption_is_written(result: Result) -> None:
    write = result.page.get_by_role("button", name="Write my caption")
    expect(write).to_be_enabled()
    write.press("Enter")
    expect(result.caption).to_have_value(CAPTION)
    expect(result.page.get_by_role("button", name="Write another caption")).to_be_focused()


def test_several_hashtags_are_pasted_at_once(written: Result) -> None:
    own = written.region.get_by_label("Add your own")
    own.fill("#pier, #ferry")
    own.press("Enter")
    assert written.chosen == [*TAGS[:5], "#pier", "#ferry"]


def test_a_caption_from_right_to_left_runs_that_way(result: Result, engine: Server) -> None:
    engine.words = ["غروب الشمس فوق الجسر.\n#غروب"]
    result.write()
    expect(result.caption).to_have_css("direction", "rtl")
    expect(result.preview.locator("p")).to_have_css("direction", "rtl")
    expect(result.region.get_by_role("button", name="#غروب", exact=True)).to_be_visible()


def test_a_busy_service_is_asked_again_by_itself(result: Result, engine: Server) -> None:
    engine.refusals, engine.retry_after = [(503, b"{}")] * 2, 1
    result.write()
    expect(result.region.get_by_role("timer")).to_have_text(re.compile(r"Trying again in [01] s"))
    expect(result.caption).to_have_value(CAPTION)


def test_a_creator_can_try_sooner_or_stop(result: Result, engine: Server) -> None:
    engine.refusals, engine.retry_after = [(503, b"{}")] * 2, 30
    result.write()
    expect(result.region.get_by_role("timer")).to_have_text(re.compile(r"Trying again in [12]?\d s"))
    result.press("Stop")
    expect(result.region).to_have_count(0)
    engine.refusals = [(503, b"{}")] * 2
    result.write()
    result.press("Try now")
    expect(result.caption).to_have_value(CAPTION)


COVERED = """() => {
    const element = document.activeElement.closest('label') ?? document.activeElement
    const box = element.getBoundingClientRect()
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)
    return element.contains(top) ? '' : element.outerHTML
}"""
"""Returns the element in focus if something lies on it."""


def test_a_keyboard_reaches_everything_and_nothing_covers_it(written: Result) -> None:
    page = written.page
    page.get_by_role("button", name="Write another caption").focus()
    reached = []
    while not reached or reached[-1] != "Copy everything":
        page.keyboard.press("Tab")
        assert page.evaluate(COVERED) == ""
        reached.append(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
    names = ["Caption", "Copy caption", "Rewrite", "#sf", "About #sf", "Add", "Copy hashtags", "Alt text"]
    assert [name for name in reached if name in names] == names


def test_axe_finds_nothing_while_a_creator_waits(result: Result, engine: Server) -> None:
    page = result.page
    # Colors on their way from light to dark have less contrast.
    page.emulate_media(reduced_motion="reduce")
    engine.refusals, engine.retry_after = [(503, b"{}")] * 2, 30
    result.write()
    expect(result.region.get_by_role("timer")).to_be_visible()
    assert violations(page) == []
    engine.pause.clear()
    result.press("Try now")
    expect(result.region).to_contain_text("Golden hour over")
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert violations(page) == []


@pytest.mark.parametrize(
    ("status", "reason", "sentence"),
    [(503, "no_model", "has no model yet"), (504, "unknown", "took too long to answer. Try again")],
)
def test_a_failure_says_what_to_do(result: Result, status: int, reason: str, sentence: str) -> None:
    problem: dict[str, Any] = {"status": status, "json": {"detail": "An operator reads this.", "reason": reason}}
    result.page.route("**/v1/generate-caption", lambda route: route.fulfill(**problem), times=1)
    result.write()
    expect(result.region.get_by_role("alert")).to_contain_text(sentence)
    result.press("Try again")
    expect(result.caption).to_have_value(CAPTION)


def test_offline_the_photo_stays_and_is_sent_later(result: Result) -> None:
    result.page.context.set_offline(True)
    result.write()
    expect(result.region.get_by_role("alert")).to_contain_text("You are offline")
    result.page.context.set_offline(False)
    result.press("Try again")
    expect(result.caption).to_have_value(CAPTION)


def test_a_key_that_is_revoked_is_asked_for_again(written: Result) -> None:
    page = written.page
    refusal = {"status": 401, "json": {"detail": "The key is not valid.", "reason": "bad_key"}}

    def refuse(route: Any, request: Request) -> None:
        if request.headers.get("x-api-key") == "another":
            route.continue_()
        else:
            route.fulfill(**refusal)

    page.route("**/v1/*", refuse)
    written.press("Rewrite")
    page.get_by_role("button", name="Rewrite the caption").click()
    page.get_by_label("Your key").fill("another")
    expect(written.region).to_have_count(0)
    page.get_by_role("button", name="Continue").click()
    # What the creator worked on is still there.
    expect(written.caption).to_have_value(CAPTION)


def test_a_service_that_is_killed_leaves_the_text_so_far(
    browser: Browser, engine: Server, photo_file: Path, tmp_path: Path
) -> None:
    with scripted_service(tmp_path, engine) as doomed:
        page = browser.new_page(base_url=doomed.url)
        page.goto("/")
        result = Result(page, photo_file)
        engine.pause.clear()
        result.write()
        expect(result.region).to_contain_text("Golden hour over")
        os.kill(doomed.pid, signal.SIGKILL)
        expect(result.region.get_by_role("alert")).to_contain_text("The connection broke")
        assert result.copied("Copy what has arrived", "Text copied").startswith("Golden hour over")
        result.press("Try again")
        expect(result.region.get_by_role("alert")).to_contain_text("The service doesn't answer")
        page.close()
