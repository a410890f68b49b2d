"""A tour of the page's states, each checked by axe and, on request, photographed for the documentation.

The pictures in ``docs/page/`` show what the demo's champion wrote. To take them again, run ``make demo``, and then this
file with its address: ``PAGE_PICTURES=http://127.0.0.1:8000 .venv/bin/python -m pytest tests/integration/page/test_tour.py``.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path

import patience
import pytest
from axe import violations
from page_visit import visit
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect

from snap2caption.settings import ROOT

pytestmark = pytest.mark.integration

DEVICES: dict[str, ViewportSize] = {"phone": {"width": 360, "height": 780}, "desktop": {"width": 1280, "height": 860}}
CAPTIONS = ["Coffee first, city second.", "Fog, then ferry. Then the whole city at once.", "Two wheels, no plan. 🚲"]

HELD = """() => {
    const fetched = window.fetch
    window.fetch = async (...request) => {
        const response = await fetched(...request)
        if (!response.headers.get('Content-Type')?.startsWith('text/event-stream')) return response
        let text = '', shown = 0
        const decoder = new TextDecoder(), encoder = new TextEncoder()
        const hold = async (piece, controller) => {
            const events = (text + decoder.decode(piece, { stream: true })).split('\\n\\n')
            text = events.pop()
            for (const event of events) {
                if (++shown === 4 || (shown < 4 && event.startsWith('event: answer')))
                    await new Promise((resolve) => { window.goOn = resolve })
                controller.enqueue(encoder.encode(`${event}\\n\\n`))
            }
        }
        return new Response(response.body.pipeThrough(new TransformStream({ transform: hold })), response)
    }
}"""
"""Holds a stream in its middle until the test goes on, however fast the model is."""

PICTURES = ("empty", "streaming", "result", "preview", "voice", "error")

Show = Callable[[str], None]


def tour(page: Page, photo_file: Path, show: Show) -> None:
    """Go through the page's states, and call *show* in each."""
    page.add_init_script(f"({HELD})()")
    page.goto("/")
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
    show("empty")
    page.locator("input[type=file][multiple]").set_input_files(photo_file)
    page.get_by_label("Inspirational").check()
    write = page.get_by_role("button", name="Write my caption")
    expect(write).to_be_enabled()
    show("photo")
    write.click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    patience.until(lambda: page.evaluate("Boolean(window.goOn)"))
    show("streaming")
    page.evaluate("window.goOn()")
    expect(page.get_by_role("button", name="Copy everything")).to_be_visible()
    show("result")
    page.get_by_role("button", name="About #").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    show("hashtag")
    page.keyboard.press("Escape")
    page.get_by_role("figure", name="Preview").scroll_into_view_if_needed()
    show("preview")
    page.get_by_role("button", name="Rate your captions").click()
    show("consent")
    page.get_by_role("button", name="Yes").click()
    for view in ("voice", "history", "sent", "about"):
        page.goto(f"/#/{view}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        show(view)
    page.goto("/#/")
    page.context.set_offline(True)
    page.get_by_role("button", name="Write another caption").click()
    expect(page.get_by_text("You are offline")).to_be_visible()
    show("error")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", DEVICES)
def test_axe_finds_nothing_in_any_state(
    browser: Browser, request: pytest.FixtureRequest, photo_file: Path, device: str, scheme: str
) -> None:
    photographed = os.environ.get("PAGE_PICTURES")
    url = photographed or request.getfixturevalue("service").url
    found: dict[str, list[str]] = {}
    with visit(
        browser,
        url,
        viewport=DEVICES[device],
        has_touch=device == "phone",
        color_scheme=scheme,
        # No picture is taken, and no color measured, in the middle of a movement.
        reduced_motion="reduce",
        device_scale_factor=2 if photographed else 1,
    ) as context:
        page = context.new_page()
        assert context.request.put(f"{url}/v1/voice", data={"captions": CAPTIONS}).ok

        def show(state: str) -> None:
            if photographed and state in PICTURES:
                picture = Image.open(io.BytesIO(page.screenshot()))
                picture.save(ROOT / "docs" / "page" / f"{state}-{device}-{scheme}.webp", quality=80, method=6)
            found[state] = violations(page)

        try:
            tour(page, photo_file, show)
        finally:
            context.set_offline(False)
            context.request.delete(f"{url}/v1/voice")
    assert {state: messages for state, messages in found.items() if messages} == {}
    assert len(found) == 12
