import pytest

from plugins.operators.training import GateOperator

pytestmark = pytest.mark.unit


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
