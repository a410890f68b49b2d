import json
from pathlib import Path
from typing import Any

import pytest

from snap2caption.errors import UserError
from training.recipes.fingerprint import fingerprint
from training.recipes.loading import load_recipe, parse_recipe
from training.recipes.recipe import Recipe
from training.recipes.renamed import RENAMED, with_former_names, with_present_names

pytestmark = pytest.mark.unit

CONTENT: dict[str, Any] = {
    "model": {"base": "b", "lora": {"target_modules": "t"}},
    "data": {"uri": "u", "feedback": {"uri": "f", "share": 0.2}},
}
MINIMAL = "model: {base: demo-base, lora: {target_modules: '.*q_proj'}}\n"


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(MINIMAL)
    return path


@pytest.mark.parametrize("former", RENAMED)
@pytest.mark.parametrize("value", ["1", "null"])
def test_a_former_name_is_refused_with_the_present_one(minimal: Path, former: str, value: str) -> None:
    refusal = rf"recipe.yaml: settings have new names; write {RENAMED[former]} for {former}\.$"
    with pytest.raises(UserError, match=refusal):
        load_recipe(minimal, [f"{former}={value}"])
    section, *names = former.split(".")
    for name in reversed(names):
        value = f"{{{name}: {value}}}"
    if section != "model":
        minimal.write_text(f"{MINIMAL}{section}: {value}\n")
        with pytest.raises(UserError, match=refusal):
            load_recipe(minimal)


def test_all_former_names_are_told_at_once(minimal: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe(minimal, ["optimiser={epochs: 2, warmup: 0.1, typo: 1}", "model.lora.rank=4"])
    assert str(caught.value).endswith(
        "write model.lora.r for model.lora.rank, training.num_train_epochs for optimiser.epochs, "
        "training.warmup_ratio for optimiser.warmup."
    )


@pytest.mark.parametrize("present", RENAMED.values())
def test_each_present_name_is_a_settings(present: str) -> None:
    content: Any = Recipe.model_validate(CONTENT).model_dump()
    for name in present.split("."):
        assert name in content
        content = content[name]


def test_a_recipe_that_an_earlier_run_stored_is_read() -> None:
    recipe = parse_recipe({**CONTENT, "training": {"num_train_epochs": 7, "eval_steps": 5}}, "new")
    stored = with_former_names(json.loads(recipe.model_dump_json()))
    assert stored["optimiser"]["epochs"] == 7
    assert stored["model"]["lora"]["targets"] == "t"
    assert stored["tracking"]["wandb"] is None
    assert "training" not in stored
    assert parse_recipe(with_present_names(stored), "old") == recipe


def test_a_recipe_with_present_names_stays_as_it_is() -> None:
    content = json.loads(Recipe.model_validate(CONTENT).model_dump_json())
    assert with_present_names(content) == content


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"precision": "bfloat16", "early_stopping_patience": 2}, "b6fc2aef95d3a55a"),
        ({"precision": "bfloat16"}, "aba076e5c2b7ecf5"),
    ],
)
def test_a_run_from_before_the_renaming_is_found(training: dict[str, Any], expected: str) -> None:
    # Computed by the code of before.
    assert fingerprint(Recipe.model_validate(CONTENT | {"training": training}), ["v1"], "r1") == expected
