"""Output of `snap2caption caption`, as a process of its own on terminals of any encoding."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import listening

from serving.app import build_app
from serving.models.served_model import ServedModel
from serving.settings import ServingSettings

pytestmark = pytest.mark.unit

ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def url(served: ServedModel, tmp_path: Path) -> Iterator[str]:
    settings = ServingSettings(cache_dir=tmp_path, voice_file=tmp_path / "voice.sqlite")
    with listening(build_app(settings, lambda: served)) as url:
        yield url


@pytest.mark.parametrize("encoding", [ASCII, {"PYTHONIOENCODING": "cp1252"}], ids=["posix", "cp1252"])
def test_what_the_terminal_can_not_show_is_printed_as_an_escape(
    url: str, photo: bytes, tmp_path: Path, encoding: dict[str, str]
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photo)

    def run(*options: str) -> bytes:
        command = (sys.executable, "-m", "snap2caption", "caption", str(path), "--url", url, *options)
        done = subprocess.run(command, env={**os.environ, **encoding}, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run().startswith(b"Golden hour \\u2728")
    assert json.loads(run("--json").decode("ascii"))["caption"] == "Golden hour ✨"
