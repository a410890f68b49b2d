"""What Terraform would make at Chameleon, as far as its files tell: nothing here can reach a provider."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from snap2caption.settings import ROOT

pytestmark = pytest.mark.unit

FOLDER = ROOT / "infra" / "terraform"
FILES = sorted(FOLDER.glob("*.tf"))
UC_ONLY = {"bucket", "gpu", "shared", "uc"}
"""Names of what is at CHI@UC; everything else is at KVM@TACC."""


def plain(value: Any) -> Any:
    """Drop the quotes of strings, and what the parser adds."""
    match value:
        case dict():
            return {plain(key): plain(item) for key, item in value.items() if not str(key).startswith("__")}
        case list():
            return [plain(item) for item in value]
        case str():
            return value.removeprefix('"').removesuffix('"')
    return value


PARSED = {path.name: plain(hcl2.loads(path.read_text())) for path in FILES}


def blocks(kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield type, name and content of each resource or data source."""
    for file in PARSED.values():
        for block in file.get(kind, []):
            for type_, named in block.items():
                for name, content in named.items():
                    yield type_, name, content


RESOURCES = {f"{type_}.{name}": content for type_, name, content in blocks("resource")}
VARIABLES = {
    name: content for file in PARSED.values() for each in file.get("variable", []) for name, content in each.items()
}
RULES = [content for type_, _, content in blocks("resource") if type_ == "openstack_networking_secgroup_rule_v2"]


def test_each_thing_is_at_its_site() -> None:
    for kind in ("resource", "data"):
        for type_, name, content in blocks(kind):
            site = "uc" if name in UC_ONLY else "kvm"
            assert content["provider"] == f"${{openstack.{site}}}", f"{type_}.{name}"


def test_credentials_come_from_clouds_yaml_only() -> None:
    providers = [content for each in PARSED["versions.tf"]["provider"] for content in each.values()]
    assert [sorted(content) for content in providers] == [["alias", "cloud"]] * 2
    assert not [name for name in VARIABLES if re.search("password|secret|token|credential", name)]
    example = yaml.safe_load((FOLDER / "clouds.yaml.example").read_text())["clouds"]
    assert {VARIABLES[name]["default"] for name in ("kvm_cloud", "uc_cloud")} == example.keys()
    assert {cloud["auth_type"] for cloud in example.values()} == {"v3applicationcredential"}


def test_nothing_is_open_to_the_world() -> None:
    ingress = [rule for rule in RULES if rule["direction"] == "ingress"]
    assert len(ingress) == 3
    assert [rule.get("remote_ip_prefix") for rule in ingress if "remote_group_id" not in rule] == [
        "${var.ssh_cidr}",
        "${each.value.cidr}",
    ]
    assert VARIABLES["web_cidrs"]["default"] == []
    (ssh,) = [rule for rule in ingress if rule.get("port_range_min") == 22]
    assert (ssh["port_range_max"], ssh["remote_ip_prefix"]) == (22, "${var.ssh_cidr}")
    assert "default" not in VARIABLES["ssh_cidr"]
    # Groups of our own, without the rules that OpenStack would add.
    groups = [content for type_, _, content in blocks("resource") if type_ == "openstack_networking_secgroup_v2"]
    assert [group["delete_default_rules"] for group in groups] == [True] * 3


def test_what_holds_data_is_not_destroyed() -> None:
    kept = {name for name, content in RESOURCES.items() if content.get("lifecycle", [{}])[0].get("prevent_destroy")}
    assert kept == {"openstack_blockstorage_volume_v3.state", "openstack_objectstorage_container_v1.bucket"}
    # A volume that grows is not made anew.
    assert RESOURCES["openstack_blockstorage_volume_v3.state"]["enable_online_resize"] is True


def test_three_nodes_and_a_gpu_by_reservation() -> None:
    assert "range(1, 4)" in PARSED["nodes.tf"]["locals"][0]["nodes"]
    gpu = RESOURCES["openstack_compute_instance_v2.gpu"]
    assert gpu["scheduler_hints"][0]["additional_properties"]["reservation"] == "${var.gpu_reservation_id}"
    assert gpu["flavor_name"] == "baremetal"
    assert VARIABLES["gpu_reservation_id"]["default"] in (None, "null", "${null}")
    assert RESOURCES["openstack_compute_instance_v2.node"]["flavor_id"] == "${var.node_flavor_id}"


def test_whatever_is_referred_to_exists() -> None:
    text = "\n".join(path.read_text() for path in FILES)
    known = RESOURCES.keys() | {f"data.{type_}.{name}" for type_, name, _ in blocks("data")}
    referred = {match[0] for match in re.finditer(r"(?:data\.)?openstack_\w+\.\w+", text)}
    assert referred <= known
    assert set(re.findall(r"\bvar\.(\w+)", text)) == VARIABLES.keys()
    assert [name for name, content in VARIABLES.items() if not content.get("description")] == []


def test_the_example_sets_what_has_no_default() -> None:
    example = plain(hcl2.loads((FOLDER / "terraform.tfvars.example").read_text()))
    assert example.keys() == {name for name, content in VARIABLES.items() if "default" not in content}


@pytest.mark.skipif(shutil.which("terraform") is None, reason="needs Terraform, which no package registry has")
def test_the_inventory_is_what_ansible_understands(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "modules" / "inventory", tmp_path / "module")
    shutil.copytree(FOLDER.parent / "ansible" / "inventory" / "group_vars", tmp_path / "group_vars")
    (example,) = plain(hcl2.loads((tmp_path / "module" / "tests" / "inventory.tftest.hcl").read_text()))["variables"]
    (tmp_path / "module" / "terraform.tfvars.json").write_text(json.dumps(example))

    def said(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path / "module", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said("terraform", "init", "-backend=false")
    assert "5 passed, 0 failed" in said("terraform", "test", "-no-color")
    said("terraform", "apply", "-auto-approve")
    (tmp_path / "hosts.yml").write_text(said("terraform", "output", "-raw", "yaml"))
    inventory = json.loads(
        said(Path(sys.executable).with_name("ansible-inventory"), "--inventory", tmp_path / "hosts.yml", "--list")
    )
    nodes = ["s2c-node1", "s2c-node2", "s2c-node3"]
    assert (
        inventory["etcd"]["hosts"]
        == inventory["kube_node"]["hosts"]
        == inventory["kube_control_plane"]["hosts"]
        == nodes
    )
    first, gpu = (inventory["_meta"]["hostvars"][name] for name in ("s2c-node1", "s2c-gpu1"))
    # Each got its group's variables.
    assert first["kube_version"]
    assert first["volume_path"] == "/mnt/state"
    assert (first["base_firewall"], gpu["base_firewall"]) == (False, True)
    assert "rclone_mounts" in gpu
