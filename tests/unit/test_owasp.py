"""The page on OWASP's lists names each entry, and tests that exist."""

import ast
import re

import pytest

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "owasp.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
ENTRIES = [*(f"API{number}:2023" for number in range(1, 11)), *(f"LLM{number:02}:2025" for number in range(1, 11))]


def test_every_entry_says_what_covers_it_and_what_is_left() -> None:
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert [section.split()[0] for section in sections] == ENTRIES
    for section in sections:
        assert "\nTests:\n\n- `tests/" in section, section
        assert "\nResidual risk: " in section, section


def test_every_test_that_the_pages_name_exists() -> None:
    pages = PAGE + (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(NAMED.findall(pages))
    assert len(named) > 40
    for path, name in named:
        defined = {
            node.name
            for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        }
        assert not name or name in defined, f"{path}::{name}"
