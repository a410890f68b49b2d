from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from plugins.operators.feedback import ValidateOperator

pytestmark = pytest.mark.unit


def judge(monkeypatch: pytest.MonkeyPatch, at_least: int, erased: int, found: dict[str, int]) -> Any:
    operator = ValidateOperator(task_id="validate", at_least=at_least, erased=erased)
    monkeypatch.setattr(ValidateOperator, "run", lambda *_: {"usable": 9, "new": 0, "erased": 0} | found)
    return operator.execute({})


@pytest.mark.parametrize(
    ("at_least", "erased", "found"),
    [(5, 1, {"new": 5}), (0, 0, {"new": 1}), (5, 1, {"erased": 1}), (5, 3, {"new": 4, "erased": 3})],
)
def test_enough_that_is_new_or_was_erased_starts_a_retraining(
    monkeypatch: pytest.MonkeyPatch, at_least: int, erased: int, found: dict[str, int]
) -> None:
    assert judge(monkeypatch, at_least, erased, found)["usable"] == 9


@pytest.mark.parametrize(
    ("at_least", "erased", "found"),
    [(5, 1, {"new": 4}), (5, 0, {"erased": 9}), (5, 3, {"erased": 2}), (5, 1, {"erased": 1, "usable": 0})],
)
def test_fewer_start_none(monkeypatch: pytest.MonkeyPatch, at_least: int, erased: int, found: dict[str, int]) -> None:
    with pytest.raises(AirflowSkipException, match="a retraining needs"):
        judge(monkeypatch, at_least, erased, found)
