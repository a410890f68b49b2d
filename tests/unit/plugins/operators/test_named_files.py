from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from plugins.operators.named_files import find_named

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("demo.yaml", "ours/demo.yaml"):
        recipe = tmp_path / "configs" / name
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.touch()
    (tmp_path / "secret.yaml").touch()
    return tmp_path / "configs"


@pytest.mark.parametrize("name", ["demo.yaml", "ours/demo.yaml", "./ours/../demo.yaml"])
def test_a_recipe_is_found_by_its_whole_path(folder: Path, name: str) -> None:
    assert find_named(folder, name, "recipe") == (folder / name).resolve()


@pytest.mark.parametrize(
    "name", ["other/demo.yaml", "nothing.yaml", "", "ours", "../secret.yaml", "/etc/hostname", "a\0b", "a" * 5000]
)
def test_no_other_file_is_taken_for_it(folder: Path, name: str) -> None:
    with pytest.raises(AirflowFailException, match="There is no recipe"):
        find_named(folder, name, "recipe")
