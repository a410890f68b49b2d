"""The analyses of a rollout, asked by promtool of series as the service has them."""

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.validation.render import Manifest

pytestmark = pytest.mark.unit

Rendered = dict[str, list[Manifest]]
NEW, OLD = "7d4c9", "58bf6"


def templates(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m["spec"]["metrics"][0] for m in manifests if m["kind"] == "AnalysisTemplate"}


def verdict(metric: dict[str, Any], result: list[float]) -> str:
    """Return what Argo Rollouts makes of *result*: neither of the conditions means inconclusive."""

    def holds(condition: str) -> bool:
        parts = re.fullmatch(r"len\(result\) > 0 && result\[0\] (<=|>) ([0-9.]+)", condition)
        assert parts
        limit = float(parts[2])
        return bool(result) and (result[0] <= limit if parts[1] == "<=" else result[0] > limit)

    passed, failed = holds(metric["successCondition"]), holds(metric["failureCondition"])
    assert not (passed and failed)
    return "failed" if failed else "successful" if passed else "inconclusive"


def series(hash_: str, requests: dict[str, str], buckets: dict[str, str]) -> list[dict[str, str]]:
    labels = f'namespace="snap2caption-production", job="serving", rollouts_pod_template_hash="{hash_}"'
    return [
        {"series": f'snap2caption_requests_total{{{labels}, status="{status}"}}', "values": values}
        for status, values in requests.items()
    ] + [
        {"series": f'snap2caption_stage_seconds_bucket{{{labels}, stage="total", le="{le}"}}', "values": values}
        for le, values in buckets.items()
    ]


# A sample each 15 s. The old version fails all the time, and slowly: it must not count.
BAD = series(OLD, {"500": "0+9x40"}, {"1.0": "0+0x40", "2.0": "0+0x40", "10.0": "0+9x40", "+Inf": "0+9x40"})
HEALTHY = {"1.0": "0+10x40", "2.0": "0+10x40", "10.0": "0+10x40", "+Inf": "0+10x40"}
SLOW = {"1.0": "0+5x40", "2.0": "0+8x40", "10.0": "0+10x40", "+Inf": "0+10x40"}
CASES = {
    "healthy": (series(NEW, {"200": "0+10x40", "500": "0+0x40"}, HEALTHY), [0.0], [0.9], "successful", "successful"),
    "failing": (series(NEW, {"200": "0+9x40", "503": "0+1x40"}, HEALTHY), [0.1], [0.9], "failed", "successful"),
    "slow": (series(NEW, {"200": "0+10x40", "500": "0+0x40"}, SLOW), [0.0], [6.0], "successful", "failed"),
    "without traffic": (
        series(NEW, {"200": "0+0x40", "500": "0+0x40"}, dict.fromkeys(HEALTHY, "0+0x40")), [], [], "inconclusive",
        "inconclusive",
    ),
    "with one request": (
        series(NEW, {"200": "0x20 1x20", "500": "0x40"}, dict.fromkeys(HEALTHY, "0x20 1x20")), [], [], "inconclusive",
        "inconclusive",
    ),
    "not scraped": ([], [], [], "inconclusive", "inconclusive"),
}  # fmt: skip


def test_analyses_are_as_promtool_computes_them(rendered: Rendered, tmp_path: Path) -> None:
    metrics = templates(rendered["production"])
    queries = {
        name: metric["provider"]["prometheus"]["query"].replace("{{args.hash}}", NEW)
        for name, metric in metrics.items()
    }
    assert not any("{{" in query for query in queries.values())
    cases = []
    for own, errors, p90, *_ in CASES.values():
        expected = {"error-ratio": errors, "p90": p90}
        asked = [
            {
                "expr": f"round({query}, 0.001)",
                "eval_time": "10m",
                "exp_samples": [{"labels": "{}", "value": value} for value in expected[name]],
            }
            for name, query in queries.items()
        ]
        cases.append({"interval": "15s", "input_series": own + BAD, "promql_expr_test": asked})
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": cases}), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES)
def test_verdicts(rendered: Rendered, case: str) -> None:
    metrics = templates(rendered["production"])
    _, errors, p90, of_errors, of_p90 = CASES[case]
    assert (verdict(metrics["error-ratio"], errors), verdict(metrics["p90"], p90)) == (of_errors, of_p90)


def test_a_result_that_is_no_number_is_inconclusive(rendered: Rendered) -> None:
    for metric in templates(rendered["production"]).values():
        assert verdict(metric, [math.nan]) == "inconclusive"
        # So many inconclusive measurements end the analysis before it can succeed.
        assert metric["inconclusiveLimit"] + 1 < metric["count"]


def test_a_rollout_is_judged_after_each_step(rendered: Rendered) -> None:
    for name in ("canary", "production"):
        (rollout,) = [m for m in rendered[name] if m["kind"] == "Rollout"]
        steps = rollout["spec"]["strategy"]["canary"]["steps"]
        assert [next(iter(step)) for step in steps] == ["setWeight", "analysis"] * (len(steps) // 2)
        for step in steps[1::2]:
            assert {t["templateName"] for t in step["analysis"]["templates"]} == templates(rendered[name]).keys()
            assert step["analysis"]["args"] == [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]
        monitors = {m["metadata"]["name"]: m["spec"] for m in rendered[name] if m["kind"] == "ServiceMonitor"}
        assert monitors["serving"]["podTargetLabels"] == ["rollouts-pod-template-hash"]
    assert not templates(rendered["staging"])
