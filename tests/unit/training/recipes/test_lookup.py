from pathlib import Path

import pytest

from snap2caption.errors import UserError
from snap2caption.settings import Settings
from training.recipes.lookup import locate_recipe

pytestmark = pytest.mark.unit

SHIPPED = Settings().configs_dir


def test_a_shipped_recipe_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert locate_recipe("demo", SHIPPED) == SHIPPED / "demo.yaml"
    assert locate_recipe("llava-1.5-7b", SHIPPED) == SHIPPED / "llava-1.5-7b.yaml"


def test_a_file_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").write_text("model: {}")
    assert locate_recipe("demo", SHIPPED) == Path("demo")
    assert locate_recipe(str(tmp_path / "demo"), SHIPPED) == tmp_path / "demo"


def test_what_is_neither_is_told_with_the_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No recipe at configs/x.yaml; .*: demo, feedback, llava"):
        locate_recipe("configs/x.yaml", SHIPPED)
    with pytest.raises(UserError, match=r"No recipe at demo; give the path of a file"):
        locate_recipe("demo", tmp_path)
