"""Ansible's files, beyond what ansible-lint says: who gets what, and that pins agree."""

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jinja2 import Template

from infra.validation.__main__ import KUBERNETES
from infra.validation.render import CHART
from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

ANSIBLE = ROOT / "infra" / "ansible"
VARIABLES = {
    path.stem: yaml.safe_load(path.read_text()) for path in (ANSIBLE / "inventory" / "group_vars").glob("*.yml")
}


def tasks(role: str) -> list[dict[str, Any]]:
    return [
        task for path in (ANSIBLE / "roles" / role / "tasks").glob("*.yml") for task in yaml.safe_load(path.read_text())
    ]


def test_each_role_is_applied_and_says_what_it_takes() -> None:
    applied = {
        role["role"]
        for book in ("site.yml", "addons.yml")
        for play in yaml.safe_load((ANSIBLE / book).read_text())
        for role in play["roles"]
    }
    assert applied == {path.name for path in (ANSIBLE / "roles").iterdir()}
    for role in applied:
        assert (ANSIBLE / "roles" / role / "meta" / "argument_specs.yml").exists()


def test_modules_are_those_of_ansible_core() -> None:
    used = {key for role in (ANSIBLE / "roles").iterdir() for task in tasks(role.name) for key in task if "." in key}
    assert used
    assert {name.rpartition(".")[0] for name in used} == {"ansible.builtin"}


def test_the_cluster_has_what_the_chart_expects() -> None:
    role = ANSIBLE / "roles" / "addons"
    server = {"addons_nfs_server": "10.60.0.11", "addons_nfs_path": "/mnt/state/shared", "ansible_managed": ""}
    text = Template((role / "templates" / "cluster.yaml.j2").read_text()).render(server)
    manifests = {m["metadata"]["name"]: m for m in yaml.safe_load_all(text)}
    for name in ("state", "shared"):
        kubernetes_validate.validate(manifests[name], KUBERNETES, strict=True)
    # The default class keeps to the node with the block volume, and no other class is the default.
    (topology,) = manifests["state"]["allowedTopologies"][0]["matchLabelExpressions"]
    assert {topology["key"]: topology["values"][0]} == VARIABLES["state"]["node_labels"]
    assert manifests["state"]["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert VARIABLES["k8s_cluster"]["local_path_provisioner_is_default_storageclass"] == "false"
    assert manifests["shared"]["parameters"] == {"server": "10.60.0.11", "share": "/mnt/state/shared"}
    # A claim that no pod uses yet must not keep Argo CD waiting.
    assert manifests["shared"]["volumeBindingMode"] == "Immediate"
    chart = yaml.safe_load((CHART / "values.yaml").read_text())["gateway"]
    gateway = manifests[chart["name"]]
    assert gateway["metadata"]["namespace"] == chart["namespace"]
    traefik = yaml.safe_load((role / "files" / "traefik.yaml").read_text())
    assert gateway["spec"]["gatewayClassName"] == traefik["gatewayClass"]["name"]
    ports = {listener["name"]: listener["port"] for listener in gateway["spec"]["listeners"]}
    assert ports == {name: port["port"] for name, port in traefik["ports"].items()}
    routes = {each["protocol"]: each["allowedRoutes"]["namespaces"]["from"] for each in gateway["spec"]["listeners"]}
    assert routes == {"HTTP": "Same", "HTTPS": "All"}
    charts = yaml.safe_load((role / "defaults" / "main.yml").read_text())["addons_charts"]
    assert {each["namespace"] for each in charts if each["release"] == "traefik"} == {chart["namespace"]}
    for each in charts:
        assert (role / "files" / f"{each['release']}.yaml").exists()


def test_groups_are_those_of_the_inventory() -> None:
    text = (ROOT / "infra" / "terraform" / "modules" / "inventory" / "main.tf").read_text()
    groups = set(re.findall(r"^    (\w+) +=", text, re.MULTILINE))
    assert groups >= VARIABLES.keys() | {"kube_control_plane", "etcd", "kube_node"}
    hosts = {
        play["hosts"].partition("[")[0]
        for book in ("site.yml", "addons.yml")
        for play in yaml.safe_load((ANSIBLE / book).read_text())
    }
    assert hosts <= groups


def test_the_cluster_is_kubespray_s_by_a_pinned_version() -> None:
    cluster = VARIABLES["k8s_cluster"]
    assert re.search(
        r"^quay\.io/kubespray/kubespray:v2\.31\.\d+(@sha256:[0-9a-f]{64})?$",
        (ROOT / "images.txt").read_text(),
        re.MULTILINE,
    )
    assert cluster["container_manager"] == "containerd"
    assert cluster["kube_encrypt_secret_data"] is True
    # Argo's own chart does that, in a role of ours.
    assert cluster["argocd_enabled"] is False
    # Data of the databases is on the block volume.
    assert cluster["local_path_provisioner_claim_root"].startswith(VARIABLES["state"]["volume_path"] + "/")


def test_charts_are_pinned_and_have_values() -> None:
    defaults = yaml.safe_load((ANSIBLE / "roles" / "addons" / "defaults" / "main.yml").read_text())
    for chart in defaults["addons_charts"]:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", chart["version"])
        assert (ANSIBLE / "roles" / "addons" / "files" / f"{chart['release']}.yaml").exists()


def test_no_secret_is_shown_or_readable() -> None:
    (task,) = [task for task in tasks("rclone") if "rclone.conf" in str(task.get("ansible.builtin.template"))]
    assert task["no_log"] is True
    assert task["diff"] is False
    assert task["ansible.builtin.template"]["mode"] == "0600"


def test_mounts_are_read_only_bounded_and_come_back() -> None:
    unit = (ANSIBLE / "roles" / "rclone" / "files" / "rclone@.service").read_text()
    for words in ("Type=notify", "Restart=always", "StartLimitIntervalSec=0", "--read-only", "--vfs-cache-max-size"):
        assert words in unit
    assert "--daemon" not in unit
