"""The sample client, against a server that answers as the service does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from web_server import listening

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

KEY = "key-of-a-creator"


async def answer(request: Request) -> Response:
    if request.headers.get("X-API-Key") != KEY:
        return JSONResponse({"detail": "The key is wrong."}, status_code=401)
    async with request.form() as form:
        photo = form["file"]
        assert not isinstance(photo, str)
        assert await photo.read() == (ROOT / "sample.jpg").read_bytes()
    return JSONResponse({"post": "A caption ✨\n\n#one #two"})


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with listening(Starlette(routes=[Route("/v1/generate-caption", answer, methods=["POST"])])) as url:
        yield url


def ask(*arguments: str | Path, key: str = KEY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "demo_request.py", *arguments],
        env={**os.environ, "SNAP2CAPTION_API_KEY": key, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
    )


def test_it_prints_the_post(service: str) -> None:
    done = ask(ROOT / "sample.jpg", service)
    assert done.stdout == "A caption ✨\n\n#one #two\n"
    assert done.returncode == 0


def test_what_fails_is_told_in_a_sentence(service: str, tmp_path: Path) -> None:
    for done, told in (
        (ask(ROOT / "sample.jpg", service, key="other"), "The key is wrong."),
        (ask(ROOT / "sample.jpg", "http://127.0.0.1:9"), "can't be reached"),
        (ask(tmp_path / "none.jpg", service), "No such file"),
        (ask(), "Usage"),
    ):
        assert done.returncode != 0
        assert told in done.stderr
        assert "Traceback" not in done.stderr
