"""Navigation check: zensical.toml lists every page once, and nothing else."""

from pathlib import Path

import pytest

from docsite.layout import lay_out
from docsite.navigation import disagreements

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]

CONFIG = """
[project]
nav = [{ "Home" = "README.md" }, { "Guide" = ["docs/a.md", { "B" = "docs/b.md" }, "docs/a.md"] }]
"""


def test_every_page_of_the_project_is_in_the_navigation(tmp_path: Path) -> None:
    lay_out(ROOT, tmp_path)
    assert (tmp_path / "reference" / "command-line.md").exists()
    assert disagreements(ROOT / "zensical.toml", tmp_path) == []


def test_pages_and_navigation_that_disagree_are_named(tmp_path: Path) -> None:
    config, sources = tmp_path / "zensical.toml", tmp_path / "sources"
    config.write_text(CONFIG)
    for name in ("README.md", "docs/a.md", "docs/new.md"):
        page = sources / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()
    assert disagreements(config, sources) == [
        "docs/new.md is not in the navigation; add it to nav in zensical.toml.",
        "docs/b.md is in nav of zensical.toml, but there is no such page.",
        "docs/a.md is in nav of zensical.toml more than once.",
    ]
