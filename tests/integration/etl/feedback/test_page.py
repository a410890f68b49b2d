"""The annotator's page in a real browser."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from chromium import chromium
from patience import LONGEST
from playwright.sync_api import Page

from demo.scenes.render import render
from demo.scenes.scene import City, Mood, Scene, Subject, Time, Weather
from etl.feedback.label_studio.annotations import pull
from etl.feedback.label_studio.project import AnnotationProject, open_project
from etl.feedback.label_studio.settings import LabelStudioSettings
from etl.feedback.label_studio.tasks import push
from snap2caption.feedback import Annotation, Words, record_key
from snap2caption.post import Tone
from snap2caption.settings import ROOT

if TYPE_CHECKING:
    from conftest import AnnotationServer, Feedbacks

pytestmark = pytest.mark.integration

HOSTILE = "<img src=x onerror='window.harmed = true'><script>window.harmed = true</script>"


@pytest.fixture(scope="module")
def page(annotation_server: "AnnotationServer") -> Iterator[Page]:
    """A browser in which an annotator has logged in."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        page.set_default_timeout(1000 * LONGEST)
        page.goto(f"{annotation_server.access.url}/user/login/")
        page.fill("input[name=email]", annotation_server.access.user)
        page.fill("input[name=password]", annotation_server.access.password)
        page.click("button[type=submit]")
        page.wait_for_url("**/")
        yield page


def test_the_photo_shows_and_the_caption_can_be_submitted(
    page: Page, configured: Callable[..., LabelStudioSettings], feedbacks: "Feedbacks"
) -> None:
    scene = Scene(City.SANFRANCISCO, Subject.GOLDEN_GATE, Time.SUNSET, Weather.CLEAR, Mood.ROMANTIC)
    shown = Words(caption="Golden hour at the bay", hashtags=("goldengate", "sanfrancisco"))
    given = feedbacks.add(1, picture=render(scene, 7), shown=shown, location="San Francisco", reason="too_short")
    with open_project(configured(project="Snap2Caption feedback")) as project:
        push(project, feedbacks.store, [record_key(given)], feedbacks.uri)

        page.goto(f"{project.url}/data?labeling=1")
        photo = page.locator("img[alt=image]")
        photo.wait_for(state="attached")
        page.wait_for_function("photo => photo.naturalWidth == 300", arg=photo.element_handle())
        caption = page.get_by_test_id("textarea-control").first
        assert caption.get_by_test_id("htx-textbox-content").inner_text() == shown.caption
        caption.get_by_test_id("htx-textbox-content").hover()
        caption.get_by_test_id("htx-textbox-edit-button").click()
        caption.locator("textarea").fill("Golden hour at the bay, and no fog in sight!")
        caption.locator("textarea").press("Shift+Enter")
        page.keyboard.press("s")
        page.locator("input[name=inspirational]:checked").wait_for()
        if os.environ.get("ANNOTATOR_PICTURE") == "write":
            page.screenshot(path=ROOT / "docs" / "annotator.png")
        with page.expect_response(
            lambda answer: answer.request.method == "POST" and "/annotations" in answer.url
        ) as sent:
            page.get_by_test_id("bottombar-submit-button").click()
        assert sent.value.ok

        (key,) = pull(project, feedbacks.store).new
    with feedbacks.store.get(key) as stream:
        annotation = Annotation.model_validate_json(stream.read())
    assert annotation.words.caption == "Golden hour at the bay, and no fog in sight!"
    assert annotation.words.hashtags == shown.hashtags
    assert annotation.tone is Tone.INSPIRATIONAL


def test_what_creators_write_is_text_and_nothing_else(
    page: Page, project: AnnotationProject, feedbacks: "Feedbacks"
) -> None:
    words = Words(caption=HOSTILE, hashtags=())
    push(project, feedbacks.store, [record_key(feedbacks.add(1, shown=words, location=HOSTILE))], feedbacks.uri)
    for view in ("?labeling=1", ""):
        page.goto(f"{project.url}/data{view}")
        page.get_by_text("window.harmed").first.wait_for()
        assert page.evaluate("window.harmed") is None
