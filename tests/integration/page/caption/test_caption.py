"""The caption in the page: written, edited, copied and shared."""

from pathlib import Path

import pytest
from caption_page import BEGINNING, CAPTION, POST, TAGS, Result
from openai_server import Server
from PIL import Image
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

SHARING = """() => {
    window.shared = []
    navigator.canShare = ({ files }) => files.length > 0
    navigator.share = async ({ files, text }) => {
        window.shared.push([await navigator.clipboard.readText(), text, ...files.map(({ name, type }) => `${name} ${type}`)])
    }
}"""
"""Headless Chromium has no share sheet: this one keeps what it is given, and what the clipboard has by then."""


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
    expect(region).to_contain_text("2,200 characters with hashtags: shorten the caption")
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
