"""The page's types of the API, against the service's own description."""

import subprocess
import sys
from pathlib import Path

import patience
import pytest

from snap2caption.settings import ROOT

pytestmark = pytest.mark.integration

TYPES = ROOT / "frontend" / "src" / "api" / "schema.d.ts"


def test_they_are_those_that_the_service_describes(tmp_path: Path) -> None:
    document, types = tmp_path / "openapi.json", tmp_path / "schema.d.ts"
    npm = (ROOT / "scripts" / "npm", sys.executable, Path(sys.prefix) / "node")
    for command in (
        (sys.executable, "-m", "docsite.openapi", document),
        (*npm, "run", "--silent", "schema", "--", document, "--output", types),
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience.LONGEST, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert types.read_text() == TYPES.read_text(), "the API has changed: run `make schema`"
