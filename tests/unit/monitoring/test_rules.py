"""Alert rules, their runbooks in docs/monitoring.md, and their tests by promtool are in step."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import serving.feedback.metrics as feedback_metrics
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

MONITORING = ROOT / "monitoring"
DOCS = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
RULES: list[dict[str, Any]] = [
    rule
    for path in sorted((MONITORING / "prometheus" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOKS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", DOCS, re.MULTILINE | re.DOTALL))


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(RUNBOOKS) == sorted(ALERTS)


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_a_runbook_says_what_to_look_at_and_what_to_do(name: str) -> None:
    assert "**Look at:**" in RUNBOOKS[name]
    assert "**Do:**" in RUNBOOKS[name]


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_says_its_urgency_and_its_runbook(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket", "none"}
    assert alert["labels"]["component"]
    assert {"summary", "description", "runbook"} == {*alert["annotations"]}
    assert alert["annotations"]["runbook"] == f"docs/monitoring.md#{name.lower()}"


def test_every_alert_is_fired_and_held_back_by_a_test() -> None:
    tests = [
        test
        for path in (MONITORING / "prometheus" / "tests").glob("*.yml")
        for case in yaml.safe_load(path.read_text())["tests"]
        for test in case["alert_rule_test"]
    ]
    assert {test["alertname"] for test in tests if test.get("exp_alerts")} == {*ALERTS}
    held_back = {test["alertname"] for test in tests if not test.get("exp_alerts")}
    assert {*ALERTS} - held_back == {"Watchdog"}


def test_every_metric_of_ours_that_a_rule_names_exists() -> None:
    assert feedback_metrics.FEEDBACK
    suffix = re.compile("_(total|bucket|count|sum|info)$")
    exported = {suffix.sub("", family.name) for family in REGISTRY.collect()}
    named = {name for rule in RULES for name in re.findall(r"\bsnap2caption_\w+", rule["expr"])}
    assert {suffix.sub("", name) for name in named} - exported == set()
