"""What `snap2caption demo` says when it can't start."""

import subprocess
import sys
from pathlib import Path

import pytest
from patience import LONGEST

from demo.stack.ownership import owned

pytestmark = pytest.mark.integration


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "snap2caption", "demo", "--once", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)


def refusal(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line


def test_a_second_demo_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with owned(tmp_path):
        result = demo("--state", str(tmp_path))
    assert refusal(result).startswith(f"error: A demo is running on {tmp_path} already; stop it first")


def test_a_photo_that_is_not_there_is_noticed_at_once(tmp_path: Path) -> None:
    result = demo("--state", str(tmp_path), "--photo", str(tmp_path / "holiday.jpg"))
    assert refusal(result).startswith("error: There is no photo at ")


def test_a_photo_that_is_none_is_noticed_at_once(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_text("sun and sea")
    result = demo("--state", str(tmp_path), "--photo", str(tmp_path / "holiday.jpg"))
    assert refusal(result).startswith("error: ")
    assert not (tmp_path / "lock").exists()


def test_a_state_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "choose another with --state" in refusal(demo("--state", str(tmp_path / "file" / "state")))
