"""What the Makefile gives the commands that it starts."""

import os
import subprocess
from pathlib import Path

import pytest
from patience import LONGEST

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit


def test_python_keeps_its_bytecode_where_others_forbid_it(tmp_path: Path) -> None:
    probe = tmp_path / "probe.mk"
    probe.write_text("probe:\n\t@python3 -c 'import sys; print(sys.dont_write_bytecode)'\n")
    told = subprocess.run(
        ["make", "--silent", "--file", "Makefile", "--file", probe, "probe"],
        cwd=ROOT,
        env={**os.environ, "MAKEFLAGS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=True,
    )
    assert told.stdout == "False\n"
