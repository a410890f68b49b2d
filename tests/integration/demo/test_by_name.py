"""The demo with a model by name, as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from photos import real_photos
from PIL import Image

pytestmark = pytest.mark.integration


def demo(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = (sys.executable, "-m", "snap2caption", "demo", "--once", *options)
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_a_photo_is_captioned_by_a_named_model(tmp_path: Path) -> None:
    photo = real_photos()[0]
    done = demo(f"--state={tmp_path}", "--model=demo-base", f"--photo={photo}")
    assert done.returncode == 0, done.stderr
    assert "(model demo-base (untrained))" in done.stderr
    port = json.loads((tmp_path / "ports.json").read_text())["serving"]
    assert f"Open http://127.0.0.1:{port}/ to caption your own photos." in done.stderr
    assert str(photo) in done.stderr
    with Image.open(tmp_path / "demo" / "captioned-by-name.png") as picture:
        assert picture.width > 600
    # Nothing but the service was started.
    assert {file.name for file in (tmp_path / "logs").iterdir()} == {"serving.log"}
    assert list(json.loads((tmp_path / "ports.json").read_text())) == ["serving"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model=no-such-model"], "The base model no-such-model is neither in"),
        (["--model=x", "--engine=http://127.0.0.1:9"], "No server answers at http://127.0.0.1:9"),
        (["--engine=http://127.0.0.1:9"], "name the model that the server runs with --model"),
        (["--model=demo-base", "--photo=nowhere.jpg"], "There is no photo at nowhere.jpg"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(tmp_path: Path, options: list[str], told: str) -> None:
    done = demo(f"--state={tmp_path}", *options, HF_HUB_OFFLINE="1")
    assert done.returncode in {1, 2}
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "logs").exists()
