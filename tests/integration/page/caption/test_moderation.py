"""What the page says of a photo that the service's moderation refuses."""

from collections.abc import Iterator

import pytest
from caption_page import Result, scripted_service
from demo_service import DemoService
from openai_server import Server
from playwright.sync_api import expect

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def service(model_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoService]:
    """A service that finds every photo not safe for work."""
    folder = tmp_path_factory.mktemp("moderated")
    with scripted_service(folder, model_server, MODERATION="nsfw", NSFW_MAX_SCORE="0") as running:
        yield running


def test_the_page_says_why_a_photo_gets_no_caption(result: Result, engine: Server) -> None:
    result.write()
    expect(result.page.get_by_text("is not captioned (it does not seem to be safe for work)").first).to_be_visible()
    assert not engine.asked
