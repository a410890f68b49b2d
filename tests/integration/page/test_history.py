"""The history in the page: posts with thumbnails on the device, searched, copied, exported and erased."""

import base64
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import patience
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.integration

EDITS = ("Fog, then the café ☕", "Sunset from the pier")
WRITE = re.compile(r"Write (my|another) caption")

REFUSE = """() => {
    const refuse = () => { throw new DOMException('Refused by the test.', 'SecurityError') }
    IDBFactory.prototype.open = refuse
    for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get: refuse })
    window.BroadcastChannel = class { constructor() { refuse() } }
    LockManager.prototype.request = async () => refuse()
}"""
"""Refuses storage, as browsers do in some private windows, or if their owner allows no cookies."""


class History:
    """The view, with posts that were captioned before."""

    def __init__(self, page: Page, photo: Path) -> None:
        self.page = page
        page.locator("input[type=file][multiple]").set_input_files(photo)
        for edit in EDITS:
            page.get_by_role("button", name=WRITE).click()
            caption = page.get_by_role("textbox", name="Caption")
            expect(caption).not_to_have_value(EDITS[0])
            caption.fill(edit)
            self.open()
            expect(self.posts.first).to_contain_text(edit)
            page.get_by_role("link", name="Create").click()
        self.open()

    def open(self) -> None:
        self.page.get_by_role("link", name="History").click()

    @property
    def posts(self) -> Locator:
        return self.page.get_by_role("article")

    def search(self, words: str) -> None:
        self.page.get_by_role("searchbox", name="Search").fill(words)

    def export(self, *, pictures: bool) -> list[dict[str, object]]:
        self.page.get_by_role("button", name="Export").click()
        dialog = self.page.get_by_role("dialog", name="Export the history")
        dialog.get_by_label("With the small pictures").set_checked(pictures)
        with self.page.expect_download() as download:
            dialog.get_by_role("button", name="Save the file").click()
        assert download.value.suggested_filename == "snap2caption-history.json"
        exported = json.loads(download.value.path().read_text())
        assert (exported["format"], exported["version"]) == ("snap2caption-history", 1)
        entries: list[dict[str, object]] = exported["entries"]
        return entries


@pytest.fixture
def history(page: Page, photo_file: Path) -> Iterator[History]:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return History(page, photo_file)


def test_posts_survive_a_reload_and_are_found(history: History) -> None:
    history.page.reload()
    expect(history.posts).to_have_count(2)
    expect(history.posts.first).to_contain_text(EDITS[1])
    picture = history.posts.first.get_by_role("img")
    expect(picture).to_have_js_property("complete", True)
    width: int = picture.evaluate("(image) => image.naturalWidth")
    assert 100 < width <= 320
    history.search("CAFE fog")
    expect(history.posts).to_have_count(1)
    expect(history.posts).to_contain_text(EDITS[0])
    history.search("nowhere")
    expect(history.page.get_by_text("No post has these words.")).to_be_visible()


def test_a_post_is_copied_again(history: History) -> None:
    history.posts.nth(1).get_by_role("button", name="Copy").click()
    read = "navigator.clipboard.readText()"
    patience.until(lambda: re.fullmatch(rf"{EDITS[0]}\n\n(#\w+ ?)+", history.page.evaluate(read)))


def test_posts_are_exported_with_and_without_pictures(history: History) -> None:
    posts = history.export(pictures=False)
    assert [post["caption"] for post in posts] == [EDITS[1], EDITS[0]]
    assert all(post["hashtags"] and post["altTexts"] and post["modelVersion"] for post in posts)
    assert "thumbnails" not in posts[0]
    (picture,) = history.export(pictures=True)[0]["thumbnails"]  # type: ignore[misc]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).format == "JPEG"  # type: ignore[has-type]


def test_posts_are_erased_one_by_one_or_all(history: History) -> None:
    history.posts.first.get_by_role("button", name="Erase").click()
    expect(history.posts).to_have_count(1)
    expect(history.posts).to_contain_text(EDITS[0])
    history.page.get_by_role("button", name="Erase the history").click()
    history.page.get_by_role("dialog").get_by_role("button", name="Erase the history").click()
    expect(history.page.get_by_text("Nothing yet.")).to_be_visible()
    history.page.reload()
    expect(history.page.get_by_text("Nothing yet.")).to_be_visible()


def test_without_storage_the_page_captions_all_the_same(page: Page, photo_file: Path) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(f"({REFUSE})()")
    page.reload()
    page.locator("input[type=file][multiple]").set_input_files(photo_file)
    page.get_by_role("button", name=WRITE).click()
    expect(page.get_by_text("This browser keeps no history")).to_be_visible()
    expect(page.get_by_role("textbox", name="Caption")).to_be_visible()
    assert errors == []
