"""Website build: a fault is reported, with or without pages from an earlier build."""

from pathlib import Path

import pytest

from docsite.build import SOURCES, generate
from docsite.navigation import CONFIG

pytestmark = pytest.mark.unit

SETTINGS = """
[project]
site_name = "Test"
docs_dir = "build/docs"
site_dir = "build/site"
nav = [{ "Home" = "README.md" }, { "Guide" = "docs/guide.md" }]
theme = { font = false }
"""


def test_a_broken_anchor_is_reported_with_its_place(tmp_path: Path) -> None:
    home, guide = tmp_path / SOURCES / "README.md", tmp_path / SOURCES / "docs" / "guide.md"
    guide.parent.mkdir(parents=True)
    (tmp_path / CONFIG).write_text(SETTINGS)
    home.write_text("# Home\n\n[Part](docs/guide.md#part)\n")
    guide.write_text("# Guide\n\n## Part\n")
    assert generate(tmp_path) == []
    assert generate(tmp_path, cached=True) == []
    guide.write_text("# Guide\n\n## Another part\n")
    for cached in (True, False):
        (fault,) = generate(tmp_path, cached=cached)
        assert "anchor does not exist" in fault
        assert "README.md:3:" in fault
        assert "\x1b" not in fault
        assert "Traceback" not in fault
