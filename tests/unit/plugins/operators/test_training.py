from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from plugins.operators.training import GateOperator, find_recipe

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
    assert find_recipe(folder, name) == (folder / name).resolve()


@pytest.mark.parametrize("name", ["other/demo.yaml", "nothing.yaml", "", "ours", "../secret.yaml", "/etc/hostname"])
def test_no_other_file_is_taken_for_it(folder: Path, name: str) -> None:
    with pytest.raises(AirflowFailException, match="There is no recipe"):
        find_recipe(folder, name)


def test_the_gate_gets_its_own_overrides_alone(monkeypatch) -> None:
    asked: list[tuple[str, ...]] = []

    def run(_: GateOperator, *arguments: str) -> dict[str, object]:
        asked.append(arguments)
        rule = {"name": "loss", "passed": True, "candidate": 1.0, "incumbent": 2.0, "reason": "It is lower."}
        return {"run_id": "r1", "dataset_version": "d1", "incumbent": "base", "rules": [rule]}

    monkeypatch.setattr(GateOperator, "run", run)
    overrides = ["training.num_train_epochs=2", "gate.margin=0.02", "evaluation.max_samples=50", "data.cities=[gate.x]"]
    GateOperator(task_id="gate", run_id="r1", overrides=overrides).execute({})
    assert asked == [("gate", "r1", "gate.margin=0.02", "evaluation.max_samples=50")]
