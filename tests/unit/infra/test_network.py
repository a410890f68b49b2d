"""The network policies let exactly the arrows of docs/kubernetes.md through, at both ends."""

import re
from typing import Any

import pytest

from infra.validation.render import ENVIRONMENTS, Manifest
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

Rendered = dict[str, list[Manifest]]
DOCS = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
DNS = "names"
CACHES = {"169.254.20.10/32", "169.254.25.10/32"}
"""Addresses of NodeLocal DNSCache: by default, and by Kubespray."""
Arrow = tuple[str, str, str]


def policies(manifests: list[Manifest]) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == "NetworkPolicy"]


def allowed(manifests: list[Manifest]) -> tuple[set[Arrow], set[Arrow]]:
    """Return what may leave, and what may arrive: as (from, to, ports)."""
    own = [policy for policy in policies(manifests) if policy["spec"]["podSelector"]]
    pods = {frozenset(p["spec"]["podSelector"]["matchLabels"].items()): p["metadata"]["name"] for p in own}

    def peer(rule: dict[str, Any]) -> str:
        if rule.get("ipBlock", {}).get("cidr") in CACHES:
            return DNS
        if "ipBlock" in rule:
            return "internet" if rule["ipBlock"].get("except") else "kubernetes"
        if "namespaceSelector" in rule:
            if rule.get("podSelector"):
                assert rule["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
                return DNS
            return "namespace " + rule["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        return pods[frozenset(rule["podSelector"]["matchLabels"].items())]

    def ports(rule: dict[str, Any]) -> str:
        given = [f"{p['port']}{'/UDP' if p['protocol'] == 'UDP' else ''}" for p in rule.get("ports", [])]
        return ", ".join(given) or "all"

    leaving, arriving = set(), set()
    for policy in own:
        name, spec = policy["metadata"]["name"], policy["spec"]
        leaving |= {(name, peer(to), ports(rule)) for rule in spec["egress"] or [] for to in rule["to"]}
        arriving |= {(peer(there), name, ports(rule)) for rule in spec["ingress"] or [] for there in rule["from"]}
    return leaving, arriving


def documented() -> set[Arrow]:
    table = DOCS.partition("| from | to | ports |\n")[2].partition("\n\n")[0]
    rows = [re.split(r" *\| *", line.strip("| ")) for line in table.splitlines()[1:]]
    return {
        (start, end, ports)
        for starts, ends, ports in rows
        for start in re.findall("`(.*?)`", starts)
        for end in re.findall("`(.*?)`", ends)
    }


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_is_allowed_by_default(rendered: Rendered, name: str) -> None:
    (everything,) = [policy for policy in policies(rendered[name]) if not policy["spec"]["podSelector"]]
    assert everything["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_documented_arrows_and_no_others_pass(rendered: Rendered, name: str) -> None:
    leaving, arriving = allowed(rendered[name])
    inside = {policy["metadata"]["name"] for policy in policies(rendered[name])}
    assert {end for _, end, _ in leaving} >= {DNS}
    leaving = {arrow for arrow in leaving if arrow[1] != DNS}
    # Between pods of the namespace, both ends allow the same.
    assert {arrow for arrow in leaving if arrow[1] in inside} == {arrow for arrow in arriving if arrow[0] in inside}
    assert leaving | arriving == documented()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_everybody_may_ask_for_names(rendered: Rendered, name: str) -> None:
    for policy in policies(rendered[name]):
        if not policy["spec"]["podSelector"]:
            continue
        rule = policy["spec"]["egress"][0]
        assert {to["ipBlock"]["cidr"] for to in rule["to"] if "ipBlock" in to} == CACHES
        assert any("podSelector" in to for to in rule["to"])
        assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {(53, "UDP"), (53, "TCP")}


@pytest.mark.parametrize("name", [*ENVIRONMENTS, "vllm"])
def test_each_workload_has_a_policy_of_its_own(rendered: Rendered, name: str) -> None:
    selectors = [p["spec"]["podSelector"].get("matchLabels", {}) for p in policies(rendered[name])]
    workloads = [m for m in rendered[name] if m["kind"] in ("Deployment", "Job", "Rollout")]
    for workload in workloads:
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert len([s for s in selectors if s and s.items() <= labels.items()]) == 1, workload["metadata"]["name"]
