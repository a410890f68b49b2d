"""Ansible's roles, applied over SSH to a machine in a container, and what they are for: a volume that grows, buckets that
come back, a firewall.

`make test-ansible` runs it, against a Docker that can build the machine. The roles nfs, gpu and addons need what no
container has.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import swift_server
from machine import Machine, is_allowed, run, started
from patience import until

from demo.stack.ports import Ports
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.stack import Stack
from snap2caption.settings import ROOT
from snap2caption.store.factory import open_store

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif("TEST_ANSIBLE" not in os.environ, reason="needs Docker and root; run `make test-ansible`"),
]

SHARD = b"a shard of photos" * 1000
DIGEST = hashlib.sha256(SHARD).hexdigest()
ANSIBLE = ROOT / "infra" / "ansible"
MIB = 1 << 20


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with started(tmp_path_factory.mktemp("machine"), os.environ["TEST_ANSIBLE"], mebibytes=128) as machine:
        yield machine


class Stores:
    """A real S3 and a real Swift with a bucket each, as rclone's remotes."""

    def __init__(self, folder: Path, s3: dict[str, str], swift: dict[str, str]) -> None:
        self.folder = folder
        self.ports = [urlsplit(url).port or 0 for url in (s3["AWS_ENDPOINT_URL"], swift["ST_AUTH"])]
        self.remotes = {
            "s3": {
                "type": "s3",
                "provider": "Other",
                "endpoint": s3["AWS_ENDPOINT_URL"],
                "access_key_id": s3["AWS_ACCESS_KEY_ID"],
                "secret_access_key": s3["AWS_SECRET_ACCESS_KEY"],
            },
            "swift": {
                "type": "swift",
                "auth": swift["ST_AUTH"],
                "user": swift["ST_USER"],
                "key": swift["ST_KEY"],
            },
        }


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    folder = tmp_path_factory.mktemp("stores")
    service, s3, _ = seaweedfs(folder / "s3", Ports(folder / "ports.json"))
    with (
        swift_server.run(folder / "swift") as swift,
        Stack(folder / "s3") as stack,
        pytest.MonkeyPatch.context() as set_,
    ):
        stack.start([service])
        for name, value in (s3 | swift).items():
            set_.setenv(name, value)
        for uri in ("s3://datasets", "swift://datasets"):
            open_store(uri).put("train/000001.tar", SHARD, sha256=DIGEST)
        yield Stores(folder, s3, swift)


@pytest.fixture(scope="module")
def configured(machine: Machine, stores: Stores) -> Iterator[Machine]:
    """The machine after the first run."""
    with machine.seeing(*stores.ports):
        write_inventory(machine, stores)
        assert changes(playbook(machine)) > 10
        yield machine


def write_inventory(machine: Machine, stores: Stores, **variables: Any) -> None:
    host = {
        "ansible_host": machine.address,
        "ansible_user": "cc",
        "ansible_ssh_common_args": " ".join(machine.ssh_options),
        "ansible_python_interpreter": "/usr/bin/python3",
        "base_firewall": True,
        "base_ssh_cidr": f"{machine.address.rpartition('.')[0]}.0/24",
        "volume_device": machine.device,
        "rclone_remotes": stores.remotes,
        "rclone_mounts": [{"name": name, "remote": f"{name}:datasets", "cache_size": "1G"} for name in stores.remotes],
        **variables,
    }
    groups = {name: {"hosts": {"machine": host}} for name in ("state", "object_store", "docker_hosts")}
    (machine.folder / "hosts.json").write_text(json.dumps(groups))


def playbook(machine: Machine, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Apply every role that a container can take."""
    plays = [
        {"hosts": "machine", "become": True, "roles": ["base", "volume", "rclone", "docker"]},
    ]
    book = machine.folder / "site.json"
    book.write_text(json.dumps(plays))
    command = (Path(sys.executable).with_name("ansible-playbook"), "-i", machine.folder / "hosts.json", book)
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"),
    }
    return run(*command, check=check, env=environment)


def changes(done: subprocess.CompletedProcess[str]) -> int:
    recap = done.stdout.rpartition("PLAY RECAP")[2]
    numbers = dict(word.split("=") for word in recap.split() if "=" in word)
    assert (numbers["failed"], numbers["unreachable"]) == ("0", "0")
    print(recap)
    return int(numbers["changed"])


def test_a_second_run_changes_nothing(configured: Machine) -> None:
    assert changes(playbook(configured)) == 0


@contextmanager
def killed(machine: Machine, name: str) -> Iterator[None]:
    """Kill rclone, and wait afterwards until systemd has started another one, and that has mounted."""
    state = ("systemctl", "show", "--property=ActiveState,MainPID", "--value", f"rclone@{name}")
    before = machine.ssh(*state)
    machine.ssh("systemctl", "kill", "--signal=KILL", f"rclone@{name}")
    yield
    until(lambda: (now := machine.ssh(*state)) != before and "active" in now.split())


def read(machine: Machine, name: str) -> str:
    return machine.ssh("sha256sum", f"/mnt/object-store/{name}/train/000001.tar", check=False).partition(" ")[0]


@pytest.mark.parametrize("name", ["s3", "swift"])
def test_a_bucket_is_mounted_and_comes_back(configured: Machine, name: str, tmp_path: Path) -> None:
    assert read(configured, name) == DIGEST
    # Everybody reads it, as containers do, and nobody writes.
    assert configured.ssh("-u", "nobody", "cat", f"/mnt/object-store/{name}/train/000001.tar") == SHARD.decode()
    assert (
        "Read-only"
        in run("docker", "exec", configured.container, "touch", f"/mnt/object-store/{name}/x", check=False).stderr
    )
    for _ in range(3):
        with killed(configured, name):
            pass
        assert read(configured, name) == DIGEST


def test_what_a_container_was_given_comes_back_as_well(configured: Machine) -> None:
    # As Docker binds it with `:rslave`: a mount namespace that takes over what is mounted later.
    inside = ("docker", "exec", configured.container)
    run(
        "docker",
        "exec",
        "--detach",
        configured.container,
        *("unshare", "--mount", "--propagation=slave", "sleep", "7531"),
    )
    pid = until(lambda: run(*inside, "pgrep", "--exact", "--full", "sleep 7531", check=False).stdout.split())[0]
    seen = ("nsenter", f"--target={pid}", "--mount", "sha256sum", "/mnt/object-store/s3/train/000001.tar")
    for _ in range(2):
        assert DIGEST in run(*inside, *seen).stdout
        with killed(configured, "s3"):
            pass


def test_a_store_that_was_away_can_be_read_again(configured: Machine, stores: Stores) -> None:
    run("ssh", *configured.ssh_options, "-S", configured.folder / "tunnel", "-O", "exit", configured.address)
    with killed(configured, "s3"):
        assert read(configured, "s3") != DIGEST
    with configured.seeing(*stores.ports):
        until(lambda: read(configured, "s3") == DIGEST)


def test_only_keys_of_known_networks_get_in(configured: Machine) -> None:
    settings = configured.ssh("sshd", "-T").splitlines()
    assert {"passwordauthentication no", "permitrootlogin no", "kbdinteractiveauthentication no"} <= set(settings)
    run("docker", "exec", "--detach", configured.container, "python3", "-m", "http.server", "8099")
    until(lambda: configured.ssh("curl", "--silent", "--fail", "http://127.0.0.1:8099/", check=False))
    with pytest.raises(TimeoutError):
        socket.create_connection((configured.address, 8099), timeout=2)


def test_the_volume_comes_back_by_its_uuid(configured: Machine) -> None:
    configured.ssh("sh", "-c", "'echo kept >/mnt/state/file'")
    uuid = configured.ssh("blkid", "--match-tag", "UUID", "--output", "value", configured.device).strip()
    assert f"UUID={uuid} /mnt/state ext4 defaults,nofail" in configured.ssh("cat", "/etc/fstab")
    # As at the next start of the machine.
    configured.ssh("umount", "/mnt/state")
    configured.ssh("mount", "/mnt/state")
    assert configured.ssh("cat", "/mnt/state/file") == "kept\n"


@pytest.mark.skipif(not is_allowed("SYS_RESOURCE"), reason="needs CAP_SYS_RESOURCE, as growing a mounted ext4 does")
def test_the_volume_grows_while_it_is_mounted(configured: Machine) -> None:
    size = ("df", "--output=size", "/mnt/state")
    before = int(configured.ssh(*size).split()[-1])
    os.truncate(configured.disk, 256 * MIB)
    run("losetup", "--set-capacity", configured.device)
    assert changes(playbook(configured)) == 1
    assert int(configured.ssh(*size).split()[-1]) > before * 1.8
    assert changes(playbook(configured)) == 0


def test_a_device_with_something_else_is_left_alone(configured: Machine, stores: Stores) -> None:
    configured.ssh("umount", "/mnt/state")
    configured.ssh("mkswap", "--force", configured.device)
    try:
        done = playbook(configured, check=False)
        assert done.returncode != 0
        assert "is left as it is" in " ".join(done.stdout.split())
        assert "swap" in configured.ssh("blkid", "--probe", configured.device)
    finally:
        configured.ssh("wipefs", "--all", configured.device)
