"""Feedback from the page: asked for with consent only, sent exactly once, and erased."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import patience
import pytest
from demo_service import DemoService
from playwright.sync_api import Page, Request, Route, expect

pytestmark = pytest.mark.integration

WRITE = re.compile(r"Write (my|another) caption")
SENT = "Sent. Thank you!"
SAVED = "Saved on this device."


class Creator:
    """A creator with the page on their phone, and what the service has of them."""

    def __init__(self, page: Page, service: DemoService, photo: Path) -> None:
        self.page = page
        self.context = page.context
        self.posted: list[str] = []
        """Idempotency keys of the feedback that the browser sent, in order."""
        self._url = service.url
        self._records = service.folder / "feedback" / "records"
        self._photo = photo
        self.context.on("request", self._note)

    def _note(self, request: Request) -> None:
        if (request.method, request.url) == ("POST", f"{self._url}/v1/feedback"):
            self.posted.append(request.headers["idempotency-key"])

    def go(self, view: str) -> None:
        self.page.goto(f"/#/{view}")

    def answer(self, consent: str) -> None:
        """Say in the settings whether photos may be kept."""
        self.go("about")
        self.page.get_by_role("group", name="May your first photo").get_by_label(consent).check()

    def choose_photo(self) -> None:
        self.go("")
        self.page.locator("input[type=file][multiple]").set_input_files(self._photo)

    def caption(self) -> str:
        """Ask for a caption, and return the request's id."""
        with self.page.expect_response("**/v1/generate-caption") as response:
            self.page.get_by_role("button", name=WRITE).click()
        self.wait_until_written()
        return response.value.headers["x-request-id"]

    def wait_until_written(self) -> None:
        expect(self.page.get_by_role("button", name=WRITE)).to_be_enabled()
        expect(self.page.get_by_role("textbox", name="Caption")).to_be_visible()

    def is_kept(self, request: str) -> bool:
        """Return whether the service keeps a request for feedback: whether it takes some on it. It forgets it then."""
        answer = patience.post(f"{self._url}/v1/feedback", json={"request_id": request, "flag": True})
        if answer.status_code == 202:
            patience.delete(f"{self._url}/v1/feedback/{answer.json()['id']}")
        return answer.status_code == 202

    def rate(self, stars: int) -> None:
        self.page.get_by_label(f"{stars} stars").check()
        self.page.get_by_role("button", name="Send my rating").click()

    @property
    def stored(self) -> list[dict[str, object]]:
        """The records in the service's store, by their rating."""
        records = [json.loads(path.read_text()) for path in self._records.glob("*/*.json")]
        return sorted(records, key=lambda record: record["rating"] or 0)

    @property
    def voice(self) -> list[str]:
        captions: list[str] = patience.get(f"{self._url}/v1/voice").json()["captions"]
        return captions

    def erase_all(self) -> None:
        patience.delete(f"{self._url}/v1/feedback").raise_for_status()
        patience.until(lambda: self.stored == [])


@pytest.fixture
def creator(page: Page, service: DemoService, photo_file: Path) -> Iterator[Creator]:
    someone = Creator(page, service, photo_file)
    yield someone
    someone.context.set_offline(False)
    someone.erase_all()


@pytest.fixture
def agreed(creator: Creator) -> Creator:
    """A creator who agreed, with a caption."""
    creator.answer("Yes")
    creator.choose_photo()
    creator.caption()
    return creator


def test_consent_is_asked_for_and_honored(creator: Creator) -> None:
    creator.choose_photo()
    assert not creator.is_kept(creator.caption())
    creator.page.get_by_role("button", name="Rate your captions").click()
    dialog = creator.page.get_by_role("dialog", name="May we keep it for feedback?")
    for words in ("for about a day", "until you erase it", "learn from it", "join your voice"):
        expect(dialog).to_contain_text(words)
    widths = [(dialog.get_by_role("button", name=name).bounding_box() or {})["width"] for name in ("No", "Yes")]
    assert widths[0] == widths[1]
    dialog.get_by_role("button", name="No").click()
    assert not creator.is_kept(creator.caption())
    expect(creator.page.get_by_role("dialog")).to_have_count(0)

    creator.page.get_by_role("button", name="Rate your captions").click()
    dialog.get_by_role("button", name="Yes").click()
    expect(creator.page.get_by_text("You can rate captions from the next one on.")).to_be_visible()
    assert creator.is_kept(creator.caption())
    expect(creator.page.get_by_label("5 stars")).to_be_visible()
    assert creator.posted == []

    creator.go("about")
    agreement = creator.page.get_by_role("group", name="May your first photo")
    expect(agreement.get_by_label("Yes")).to_be_checked()
    agreement.get_by_label("No").check()
    creator.go("")
    # What is written again is not kept either, although its first request was.
    creator.page.get_by_role("button", name="Rewrite").click()
    with creator.page.expect_response("**/v1/generate-caption") as response:
        creator.page.get_by_role("dialog").get_by_role("button", name="Rewrite the caption").click()
    creator.wait_until_written()
    assert not creator.is_kept(response.value.headers["x-request-id"])
    creator.page.reload()
    creator.go("about")
    expect(agreement.get_by_label("No")).to_be_checked()


def test_only_variants_that_are_kept_can_be_rated(creator: Creator) -> None:
    page = creator.page
    creator.choose_photo()
    page.get_by_text("More options").click()
    page.get_by_role("group", name="Captions to choose from").get_by_label("2").check()
    page.get_by_role("button", name=WRITE).click()
    page.get_by_role("button", name="Rate your captions").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    page.locator("button:not([inert] *)", has_text="Rewrite").click()
    page.get_by_role("dialog").get_by_role("button", name="Rewrite the caption").click()
    expect(page.get_by_label("5 stars")).to_be_visible()
    # The service doesn't have the other one: it was written before the creator agreed.
    page.get_by_role("group", name="2 captions to choose from").get_by_label("2").check()
    expect(page.get_by_text("You can rate captions from the next one on.")).to_be_visible()


def test_a_rating_with_an_edit_is_stored_and_erased(agreed: Creator) -> None:
    page = agreed.page
    page.get_by_role("textbox", name="Caption").fill("Fog, then the bridge 🌉")
    expect(page.get_by_role("button", name="Send my edit")).to_be_visible()
    page.get_by_label("2 stars").check()
    page.get_by_label("Wrong place").check()
    page.get_by_label("A person should look at it").check()
    page.get_by_role("button", name="Send my rating and my edit").click()
    expect(page.get_by_text(SENT)).to_be_visible()
    patience.until(lambda: len(agreed.stored) == 1)
    (record,) = agreed.stored
    assert (record["rating"], record["reason"], record["flagged"]) == (2, "wrong_place", True)
    assert record["edited"]["caption"] == "Fog, then the bridge 🌉"  # type: ignore[index]
    assert agreed.voice == ["Fog, then the bridge 🌉"]
    assert len(agreed.posted) == 1

    page.get_by_role("link", name="What you have sent").click()
    item = page.get_by_role("article")
    for words in ("Fog, then the bridge 🌉", "2 stars", "Your caption", "A person should look", "Sent"):
        expect(item).to_contain_text(words)
    item.get_by_role("button", name="Erase").click()
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    patience.until(lambda: agreed.stored == [])
    assert agreed.voice == []


def test_offline_feedback_is_sent_once_the_creator_is_back(agreed: Creator) -> None:
    agreed.context.set_offline(True)
    for stars in (4, 5):
        agreed.rate(stars)
        expect(agreed.page.get_by_text(SAVED)).to_be_visible()
    assert agreed.posted == []
    agreed.context.set_offline(False)
    expect(agreed.page.get_by_text(SENT)).to_be_visible()
    patience.until(lambda: [record["rating"] for record in agreed.stored] == [4, 5])
    assert len(agreed.posted) == len(set(agreed.posted)) == 2


def test_feedback_waits_while_consent_is_withdrawn(agreed: Creator) -> None:
    agreed.context.set_offline(True)
    agreed.rate(5)
    expect(agreed.page.get_by_text(SAVED)).to_be_visible()
    agreed.answer("No")
    agreed.context.set_offline(False)
    agreed.page.goto("/#/sent")
    agreed.page.reload()
    expect(agreed.page.get_by_role("article")).to_be_visible()
    agreed.page.wait_for_load_state("networkidle")
    assert agreed.posted == []
    agreed.answer("Yes")
    agreed.go("sent")
    expect(agreed.page.get_by_role("article").get_by_text("Sent", exact=True)).to_be_visible()
    assert len(agreed.posted) == 1


def test_two_tabs_send_what_waits_from_the_last_visit_once(agreed: Creator) -> None:
    agreed.context.set_offline(True)
    agreed.rate(5)
    expect(agreed.page.get_by_text(SAVED)).to_be_visible()
    agreed.page.close()
    agreed.context.set_offline(False)
    tabs = [agreed.context.new_page() for _ in range(2)]
    for tab in tabs:
        tab.goto("/#/sent", wait_until="commit")
    for tab in tabs:
        tab.bring_to_front()
        expect(tab.get_by_role("article").get_by_text("Sent", exact=True)).to_be_visible()
    patience.until(lambda: len(agreed.stored) == 1)
    assert len(agreed.posted) == 1


def test_a_busy_service_is_asked_again_when_it_says(agreed: Creator) -> None:
    answers = iter(["busy"])

    def busy_once(route: Route) -> None:
        if next(answers, None):
            body = json.dumps({"detail": "Busy.", "reason": "busy"})
            headers = {"Retry-After": "1"}
            route.fulfill(status=503, headers=headers, content_type="application/problem+json", body=body)
        else:
            route.continue_()

    agreed.page.route("**/v1/feedback", busy_once)
    agreed.rate(4)
    expect(agreed.page.get_by_text(SENT)).to_be_visible()
    patience.until(lambda: len(agreed.stored) == 1)
    assert len(agreed.posted) == 2
    assert len(set(agreed.posted)) == 1
    agreed.page.unroute("**/v1/feedback")


def test_a_refused_key_is_asked_for_again(agreed: Creator) -> None:
    def refuse(route: Route, request: Request) -> None:
        if request.headers.get("x-api-key") == "another":
            route.continue_()
        else:
            route.fulfill(status=401, json={"detail": "The key is not valid.", "reason": "bad_key"})

    agreed.page.route("**/v1/*", refuse)
    agreed.rate(4)
    agreed.page.get_by_label("Your key").fill("another")
    agreed.page.get_by_role("button", name="Continue").click()
    expect(agreed.page.get_by_text(SENT)).to_be_visible()
    patience.until(lambda: len(agreed.stored) == 1)
    assert len(set(agreed.posted)) == 1
    agreed.page.unroute("**/v1/*")


def test_a_caption_that_is_no_longer_kept_is_explained(agreed: Creator) -> None:
    agreed.erase_all()
    agreed.rate(4)
    expect(agreed.page.get_by_role("alert")).to_contain_text("no longer keeps this caption")
    agreed.go("sent")
    item = agreed.page.get_by_role("article")
    expect(item).to_contain_text("Not accepted")
    item.get_by_role("button", name="Erase").click()
    expect(item).to_have_count(0)
    assert len(agreed.posted) == 1


def test_everything_is_erased_with_the_voice(agreed: Creator) -> None:
    agreed.rate(5)
    expect(agreed.page.get_by_text(SENT)).to_be_visible()
    patience.until(lambda: len(agreed.stored) == 1)
    assert len(agreed.voice) == 1
    agreed.go("sent")
    agreed.page.get_by_role("button", name="Erase everything").click()
    dialog = agreed.page.get_by_role("dialog", name="Erase everything?")
    expect(dialog).to_contain_text("and your voice")
    dialog.get_by_role("button", name="Erase everything").click()
    expect(agreed.page.get_by_text("Nothing yet.")).to_be_visible()
    patience.until(lambda: agreed.stored == [])
    assert agreed.voice == []
