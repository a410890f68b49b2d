import subprocess
import sys

import pytest
from patience import LONGEST

from snap2caption.command_line import console

pytestmark = pytest.mark.unit


def test_a_log_hears_of_long_work_now_and_then(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
    with console.progress_bar() as progress:
        task = progress.add_task("checking", total=4)
        progress.update(task, completed=1)
        progress.advance(task)
        progress.update(task, total=None, completed=3)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("checking: 1 of 4 (25 %)")
    assert lines[1].startswith("checking: 2 of 4 (50 %)")
    assert len(lines) == 3


def test_short_work_says_nothing(capfd: pytest.CaptureFixture) -> None:
    with console.progress_bar() as progress:
        task = progress.add_task("checking", total=4)
        progress.advance(task, 4)
    assert capfd.readouterr().err == ""


def test_a_result_is_strict_json(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(ValueError, match="JSON"):
        console.print_result("", {"loss": float("nan")}, as_json=True)
    assert capsys.readouterr().out == ""


def test_the_log_leaves_out_what_clients_tell_of_each_request() -> None:
    code = (
        "import logging; from snap2caption.command_line.console import log_to_stderr; log_to_stderr()\n"
        "for name in ('botocore.credentials', 'httpx', 'swiftclient', 'ours'): logging.getLogger(name).info('told')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONGEST, check=True)
    assert done.stderr == "INFO ours: told\n"
