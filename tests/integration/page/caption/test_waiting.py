"""What the page says while a caption has to wait, and when it can't be written."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from axe import violations
from caption_page import CAPTION, Result, scripted_service
from openai_server import Server
from playwright.sync_api import Browser, Request, expect

pytestmark = pytest.mark.integration


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
