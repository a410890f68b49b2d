"""What the transform's commands import: not pandas, which PyArrow would."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import LONGEST

from demo.corpus.archive import write_corpus

pytestmark = pytest.mark.integration


def run(*arguments: str) -> tuple[str, int]:
    """Run a command; return what it prints, and how many of its processes imported PyArrow.

    No process may have imported pandas.
    """
    # The option is passed on to its workers.
    command = [sys.executable, "-X", "importtime", "-m", "snap2caption", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert done.returncode == 0, done.stderr
    imported = re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE)
    assert "pandas._libs" not in imported
    return done.stdout.strip(), imported.count("pyarrow")


def test_no_command_imports_pandas(tmp_path: Path) -> None:
    corpus, out = str(write_corpus(tmp_path / "corpus.zip", 20, 1)), str(tmp_path / "out")
    planned, _ = run("transform-plan", corpus, "--out", out, "--json")
    work = json.loads(planned)["work"]
    assert run("transform-slice", work, "0", "--workers", "1")[1] == 2
    version, processes = run("transform-merge", work, "--workers", "1")
    assert processes == 2
    again, processes = run("transform", corpus, "--out", str(tmp_path / "again"), "--workers", "1")
    assert (Path(again).name, processes) == (Path(version).name, 2)
