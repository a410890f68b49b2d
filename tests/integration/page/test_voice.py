"""The creator's voice in the page: captions by hand and from files, and the service that keeps them."""

import io
import json
import zipfile
from collections.abc import Iterator
from urllib.parse import urlsplit

import patience
import pytest
from demo_service import DemoService
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

pytestmark = pytest.mark.integration


def damaged(text: str) -> str:
    """Return *text* as Instagram's export has it: each byte of UTF-8 as a character of its own."""
    return text.encode().decode("latin-1")


POSTS = [
    {"media": [{"uri": "media/posts/1.jpg", "creation_timestamp": 1767225600, "title": damaged("Fog 🌉 über allem")}]},
    {
        "media": [{"uri": "media/posts/2.jpg", "title": ""}, {"uri": "media/posts/3.mp4", "title": ""}],
        "title": damaged("Two views, one café ☕\n.\n.\n#coffee #sf"),
        "creation_timestamp": 1769904000,
    },
    {"media": [{"uri": "media/posts/4.jpg", "creation_timestamp": 1769904001, "title": "#only #hashtags"}]},
    {"media": [{"uri": "media/posts/5.jpg", "creation_timestamp": 1769904002, "title": ""}]},
]
REELS = {"ig_reels_media": [{"media": [{"uri": "r.mp4", "creation_timestamp": 1772323200, "title": damaged("هدوء")}]}]}


def export(**more: str) -> FilePayload:
    """A data export of Instagram, with pictures and messages that are no captions."""
    archive = io.BytesIO()
    files = {
        "media/posts/1.jpg": "not read" * 10_000,
        "your_instagram_activity/media/posts_1.json": json.dumps(POSTS),
        "your_instagram_activity/media/reels.json": json.dumps(REELS),
        "your_instagram_activity/media/stories.json": json.dumps({"ig_stories": [{"title": "A story"}]}),
        "your_instagram_activity/messages/inbox/me_1/message_1.json": json.dumps({"messages": [{"title": "Secret"}]}),
    } | more
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return {"name": "instagram.zip", "mimeType": "application/zip", "buffer": archive.getvalue()}


def text_file(content: str) -> FilePayload:
    return {"name": "captions.txt", "mimeType": "text/plain", "buffer": content.encode()}


class Voice:
    """The view, and what the service has."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._address = f"{url}/v1/voice"
        page.goto("/#/voice")
        expect(page.get_by_role("heading", name="Your voice")).to_be_visible()

    @property
    def saved(self) -> list[str]:
        captions: list[str] = patience.get(self._address).json()["captions"]
        return captions

    def save(self, *captions: str) -> None:
        patience.request("PUT", self._address, json={"captions": captions}).raise_for_status()

    @property
    def listed(self) -> Locator:
        return self.page.get_by_role("main").get_by_role("listitem")

    def add(self, caption: str) -> None:
        self.page.get_by_role("button", name="Add a caption").click()
        expect(self.page.get_by_label("A caption that you like")).to_be_focused()
        self.page.keyboard.type(caption)
        self.page.get_by_role("button", name="Add", exact=True).click()

    def choose(self, *files: FilePayload) -> Locator:
        """Choose *files*, and return the dialog with their captions."""
        self.page.get_by_label("Files with captions").set_input_files(files)
        return self.page.get_by_role("dialog", name="Which captions sound like you?")


@pytest.fixture
def voice(page: Page, service: DemoService) -> Iterator[Voice]:
    view = Voice(page, service.url)
    yield view
    view.save()


def test_captions_are_added_and_removed_by_hand(voice: Voice) -> None:
    expect(voice.page.get_by_text("You have saved no captions yet.")).to_be_visible()
    for caption in ("Fog, then ferry.", "Coffee first 🌉"):
        voice.add(caption)
        expect(voice.listed.first).to_contain_text(caption)
    patience.until(lambda: voice.saved == ["Coffee first 🌉", "Fog, then ferry."])
    voice.listed.nth(1).get_by_role("button", name="Remove").press("Enter")
    expect(voice.listed).to_have_count(1)
    # The button that had the focus is gone.
    expect(voice.page.get_by_role("list", name="Saved captions")).to_be_focused()
    patience.until(lambda: voice.saved == ["Coffee first 🌉"])
    voice.page.get_by_role("button", name="Remove all").click()
    voice.page.get_by_role("dialog").get_by_role("button", name="Remove all").click()
    expect(voice.listed).to_have_count(0)
    patience.until(lambda: voice.saved == [])


def test_what_another_device_saved_meanwhile_stays(voice: Voice) -> None:
    expect(voice.page.get_by_text("You have saved no captions yet.")).to_be_visible()
    voice.save("From the other phone")
    voice.add("From here")
    expect(voice.listed).to_have_count(2)
    patience.until(lambda: voice.saved == ["From here", "From the other phone"])


def test_a_refused_change_is_taken_back(voice: Voice) -> None:
    voice.add("Stays")
    patience.until(lambda: voice.saved == ["Stays"])

    def refuse(route: Route) -> None:
        if route.request.method == "PUT":
            body = {"detail": "Voices can't be written now; try again later.", "reason": "away"}
            route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(body))
        else:
            route.continue_()

    voice.page.route("**/v1/voice", refuse)
    voice.listed.get_by_role("button", name="Remove").click()
    expect(voice.page.get_by_role("alert")).to_have_text("Voices can't be written now; try again later.")
    expect(voice.listed).to_have_count(1)
    voice.page.unroute("**/v1/voice")


def test_instagrams_export_is_read_in_the_browser(voice: Voice) -> None:
    asked: set[tuple[str, str]] = set()
    voice.page.on("request", lambda request: asked.add((request.method, urlsplit(request.url).path)))
    dialog = voice.choose(export())
    expect(dialog.get_by_role("listitem")).to_have_count(3)
    expect(dialog.get_by_role("listitem").first).to_contain_text("هدوء")
    expect(dialog.get_by_role("button", name="Add 0 captions")).to_be_disabled()
    dialog.get_by_label("Fog 🌉 über allem").check()
    dialog.get_by_label("Two views, one café ☕").check()
    with voice.page.expect_response(lambda response: response.request.method == "PUT"):
        dialog.get_by_role("button", name="Add 2 captions").click()
    expect(voice.listed).to_have_count(2)
    patience.until(lambda: voice.saved == ["Two views, one café ☕", "Fog 🌉 über allem"])
    # Nothing else of the file was sent, nor to another address.
    assert {path for method, path in asked if method != "GET"} == {"/v1/voice"}
    assert {path for _, path in asked if not path.startswith("/assets/")} == {"/v1/voice"}


def test_a_text_file_is_imported(voice: Voice) -> None:
    many = "\n\n".join(f"Caption {number},\nin two lines." for number in range(60))
    dialog = voice.choose(text_file(many))
    dialog.get_by_role("button", name="Select the newest 50").click()
    expect(dialog.get_by_label("Caption 50,")).to_be_disabled()
    dialog.get_by_role("button", name="Add 50 captions").click()
    expect(voice.listed).to_have_count(50)
    patience.until(lambda: len(voice.saved) == 50)
    assert voice.saved[0] == "Caption 0,\nin two lines."


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        (text_file("<!DOCTYPE html><html>"), "with the format JSON"),
        (text_file("#only #hashtags"), "no captions with words"),
        ({"name": "cut.zip", "mimeType": "application/zip", "buffer": export()["buffer"][:-30]}, "incomplete"),
    ],
    ids=["web pages", "no words", "cut off"],
)
def test_a_file_without_captions_is_explained(voice: Voice, file: FilePayload, advice: str) -> None:
    voice.choose(file)
    expect(voice.page.get_by_role("alert")).to_contain_text(advice)
