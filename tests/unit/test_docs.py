"""Modules and files that the docs name exist."""

import re
from pathlib import Path

import pytest

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

FOLDERS = "snap2caption|etl|training|serving|demo|plugins|dags|configs|tests|benchmarks|docsite|supply_chain|scripts"
PATHS = re.compile(rf"`((?:{FOLDERS})/(?:[a-z0-9_.-]+/)*(?:[a-z0-9_.-]+\.(?:py|txt|yaml))?)(?:::\w+)?`")
MODULES = re.compile(rf"`((?:{FOLDERS})(?:\.[a-z0-9_]+){{2,}})`")
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})


@pytest.mark.parametrize("page", [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES])
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [*PATHS.findall(text), *(name.replace(".", "/") for name in MODULES.findall(text))]
    assert [path for path in named if not (ROOT / path).exists() and not (ROOT / f"{path}.py").exists()] == []
