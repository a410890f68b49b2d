"""Names of tests are short enough to be read in a report."""

import ast
from pathlib import Path

import pytest

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

LONGEST_NAME = 59


def names_in(file: Path) -> list[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if function.name.startswith("test_")]


def test_names_have_fewer_than_60_characters() -> None:
    found = {name: str(file) for file in (ROOT / "tests").rglob("test_*.py") for name in names_in(file)}
    assert {name: file for name, file in found.items() if len(name) > LONGEST_NAME} == {}
