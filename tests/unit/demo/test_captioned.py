import json
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.captioned import caption_over_rest

pytestmark = pytest.mark.unit


def test_a_photo_may_be_called_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    answer: Any = caption_over_rest(Path("--url=elsewhere"), "http://127.0.0.1:1", tmp_path / "picture.png").answer
    assert answer[-2:] == ["--", "--url=elsewhere"], json.dumps(answer)
