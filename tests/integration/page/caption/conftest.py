"""A model that a test directs, and the page's result."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from caption_page import CAPTION, GOLDEN, MODEL, Result, scripted_service
from demo_service import DemoService
from openai_server import Server, openai_server
from playwright.sync_api import Page, expect


@pytest.fixture(scope="session")
def model_server() -> Iterator[Server]:
    with openai_server("secret", MODEL) as running:
        yield running


@pytest.fixture(scope="session")
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


@pytest.fixture
def result(page: Page, photo_file: Path) -> Result:
    return Result(page, photo_file)


@pytest.fixture
def written(result: Result) -> Result:
    result.write()
    expect(result.caption).to_have_value(CAPTION)
    return result
