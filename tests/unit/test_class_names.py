"""Names of classes: each is used once, so that a search finds the one that was meant."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "snap2caption",
    "etl",
    "training",
    "serving",
    "plugins",
    "dags",
    "demo",
    "docsite",
    "supply_chain",
    "monitoring",
    "benchmarks",
)


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(ROOT)))
    assert "GateVerdict" in places
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
