"""The validation refuses what a cluster would refuse."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.validation import custom_resources
from infra.validation.__main__ import errors_of
from infra.validation.render import INFRA, Manifest, read
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

Rendered = dict[str, list[Manifest]]


def of_kind(manifests: list[Manifest], kind: str) -> Manifest:
    return copy.deepcopy(next(manifest for manifest in manifests if manifest["kind"] == kind))


def test_rendered_manifests_are_valid(rendered: Rendered) -> None:
    assert errors_of("production", rendered["production"]) == []


def test_an_unknown_field_of_a_deployment_is_refused(rendered: Rendered) -> None:
    deployment = of_kind(rendered["production"], "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["redinessProbe"] = {}
    (error,) = errors_of("production", [deployment])[:1]
    assert "redinessProbe" in error


def test_a_mistake_in_the_pods_of_a_rollout_is_refused(rendered: Rendered) -> None:
    rollout = of_kind(rendered["production"], "Rollout")
    rollout["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = "70s"
    (error,) = errors_of("production", [rollout])
    assert error.startswith("production: Pod serving: spec.terminationGracePeriodSeconds:")


def compiled(folder: Path, *manifests: Manifest) -> str:
    """Return what the compiler says of custom resources."""
    (folder / "node_modules").symlink_to(custom_resources.FOLDER / "node_modules")
    custom_resources.write([("the test", manifest) for manifest in manifests], folder)
    npm = [ROOT / "scripts" / "npm", sys.executable, Path(sys.prefix) / "node", "--prefix", "../infra/custom_resources"]
    done = subprocess.run(
        [*npm, "exec", "--no", "--", "tsc", "--project", folder], capture_output=True, text=True, check=False
    )
    assert bool(done.stdout) == (done.returncode != 0), done.stderr
    return done.stdout


def test_mistakes_in_custom_resources_are_refused(rendered: Rendered, tmp_path: Path) -> None:
    wrong: list[Any] = []
    for kind, change in {
        "AnalysisTemplate": lambda spec: spec["metrics"][0].pop("provider"),
        "Database": lambda spec: spec.pop("owner"),
        "ExternalSecret": lambda spec: spec["target"].update(creationPolicy="Own"),
        "ObjectStore": lambda spec: spec["configuration"].update(serverName="postgres"),
        "PodMonitor": lambda spec: spec.update(podMetricEndpoints=[]),
        "HTTPRoute": lambda spec: spec["rules"][0].update(backends=[]),
        "PrometheusRule": lambda spec: spec["groups"][0]["rules"][0].update(expression=""),
        "Rollout": lambda spec: spec["strategy"]["canary"].update(maxSruge=1),
        "ScaledObject": lambda spec: spec.update(minReplicaCount="3"),
        "ServiceMonitor": lambda spec: spec["endpoints"][0].update(intervall="15s"),
    }.items():
        manifest = of_kind(rendered["production"], kind)
        change(manifest["spec"])
        wrong.append(manifest)
    (job,) = read(INFRA / "ray")
    wrong.append(copy.deepcopy(job))
    wrong[-1]["spec"]["rayClusterSpec"]["authOptions"] = {"mode": "tokens"}
    said = compiled(tmp_path, *wrong)
    names = [f": I{manifest['kind']} = " for manifest in wrong]
    lines = (tmp_path / "resources.ts").read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines, start=1) if any(name in line for name in names)]
    at = {int(line) for line in re.findall(r"resources\.ts\(([0-9]+),", said)}
    # An error in each.
    for start, end in zip(starts, [*starts[1:], len(lines) + 1], strict=True):
        assert any(start <= line < end for line in at), lines[start - 1]
