"""Generated reference: all commands, operations, settings of a recipe, and shared modules."""

import json
import re
import shutil
from pathlib import Path

import pytest

from docsite.command_line import command_line_page
from docsite.python_api import python_pages
from docsite.rest_api import rest_api_pages
from training.recipes.loading import load_recipe
from training.recipes.recipe import Recipe

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]


def test_commands_are_shown_with_their_help() -> None:
    page = command_line_page()
    assert {"snap2caption", "snap2caption serve", "snap2caption key rotate"} <= {*re.findall(r"^## (.+)$", page, re.M)}
    assert "Usage: snap2caption key rotate [OPTIONS]" in page


def test_rest_operations_are_shown_once() -> None:
    pages = rest_api_pages()
    paths = json.loads(pages["openapi.json"])["paths"]
    page = pages["rest.md"]
    assert (
        "## POST /generate-caption\n\nThe same as `POST /generate_caption` and `POST /v1/generate-caption`.\n" in page
    )
    assert "## POST /v1/feedback\n" in page
    for path, operations in paths.items():
        for method in operations:
            assert len(re.findall(rf"(?:## |`){method.upper()} {re.escape(path)}(?:`|\n)", page)) == 1
    assert "| `hashtags` | integer |  | Maximum number of hashtags" in page
    assert "1 to 30. Default: `8`. |" in page
    assert "At least 0. Below 2147483648." in page


def test_every_shared_module_is_on_one_page() -> None:
    pages = "\n".join(python_pages(ROOT).values())
    shown = re.findall(r"^::: (snap2caption\..+)$", pages, re.M)
    files = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "snap2caption").rglob("*.py"))
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files} - {
        "snap2caption",
        "snap2caption.__main__",
    }
    assert sorted(shown) == sorted(modules)


def test_the_page_on_recipes_shows_every_section() -> None:
    shown = re.findall(r"^::: (.+)$", python_pages(ROOT)["recipe.md"], re.M)
    sections = {str(getattr(field.annotation, "__module__", None)) for field in Recipe.model_fields.values()}
    assert {Recipe.__module__, load_recipe.__module__} | sections <= set(shown)


def test_a_page_changes_with_the_code_that_it_shows(tmp_path: Path) -> None:
    for folder in ("serving", "snap2caption"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    recipes = shutil.copytree(ROOT / "training" / "recipes", tmp_path / "training" / "recipes")
    recipe = recipes / "sections.py"
    recipe.write_text('RANK = 8\n"""Of the adapter."""\n')
    before = python_pages(tmp_path)
    recipe.write_text('RANK = 8\n"""Rank of the adapter."""\n')
    after = python_pages(tmp_path)
    assert [name for name in before if before[name] != after[name]] == ["recipe.md"]
