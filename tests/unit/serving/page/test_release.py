"""The release that the web page shows."""

import json
import tomllib

import pytest

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit


def test_the_page_shows_the_projects_release() -> None:
    package = json.loads((ROOT / "frontend" / "package.json").read_text())
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == package["version"] == lock["version"]
