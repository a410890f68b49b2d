import json
import math
import re

import pytest

from snap2caption.errors import UserError
from snap2caption.formats.strict_json import to_document
from snap2caption.registry.verdict import GateVerdict, RuleResult

pytestmark = pytest.mark.unit


def verdict(*passed: bool) -> GateVerdict:
    rules = tuple(
        RuleResult(name=f"rule {number}", passed=ok, candidate=1.0, incumbent=None, reason=f"Reason {number}.")
        for number, ok in enumerate(passed)
    )
    return GateVerdict(run_id="r", dataset_version="d", incumbent="base", rules=rules)


def test_it_admits_if_every_rule_passed():
    assert verdict(True, True).admitted
    assert verdict(True, True).refusals == []


def test_one_failed_rule_refuses_with_its_reason():
    assert not verdict(True, False).admitted
    assert verdict(True, False).refusals == ["Reason 1."]


def test_its_json_says_whether_it_admits_and_reads_back():
    document = verdict(True, False).model_dump_json()
    assert json.loads(document)["admitted"] is False
    assert GateVerdict.parse(document.encode(), "r") == verdict(True, False)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (b"", "can't be read (JSON: "),
        (b"[]", "can't be read (JSON: "),
        (b'{"run_id": "r", "dataset_version": "d", "incumbent": "base"}', "can't be read (rules: Field required)"),
        (
            b'{"run_id": "r", "dataset_version": "d", "incumbent": "base", "rules": []}',
            "can't be read (rules: Tuple should have",
        ),
        (verdict(True).model_copy(update={"run_id": "other"}).model_dump_json().encode(), "is on run other"),
    ],
    ids=["empty", "list", "no field rules", "no rule", "of another run"],
)
def test_what_is_no_verdict_on_the_run_is_one_sentence(stored: bytes, said: str) -> None:
    with pytest.raises(UserError, match=f"{re.escape(said)}.*run `snap2caption gate r` again"):
        GateVerdict.parse(stored, "r")


def test_its_table_reads_as_markdown_and_in_a_terminal():
    lines = verdict(True, False).table().splitlines()
    assert lines == [
        "| rule   | candidate | base | verdict     |",
        "| ------ | --------- | ---- | ----------- |",
        "| rule 0 | 1         | -    | passed      |",
        "| rule 1 | 1         | -    | **REFUSED** |",
    ]
    assert verdict(True, False).report().endswith("\n\nRefused: Reason 1.")
    assert verdict(True).report().endswith("\n\nAdmitted.")


def test_a_number_that_is_none_survives_strict_json():
    unusual = RuleResult(name="loss", passed=False, candidate=math.nan, incumbent=math.inf, reason="Loss: nan.")
    document = to_document(GateVerdict(run_id="r", dataset_version="d", incumbent="base", rules=(unusual,)))
    (rule,) = GateVerdict.model_validate(json.loads(json.dumps(document, allow_nan=False))).rules
    assert math.isnan(rule.candidate)
    assert rule.incumbent == math.inf
