"""A machine as a cloud starts it, in a container: systemd, SSH, the user cc, and a block device."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from patience import until

ROOT = Path(__file__).parents[2]
IMAGE = "snap2caption-test-machine"
# What Ansible's roles do to a machine: mounts, FUSE, a firewall, Docker. Not the clock, modules or reboots, which would be
# those of the machine that tests.
CAPABILITIES = {"NET_ADMIN": 12, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_RESOURCE": 24, "MKNOD": 27}
"""By name, with their bit in the kernel's masks."""


def is_allowed(capability: str) -> bool:
    """Whether this machine can give *capability* to a container; a sandbox may have it withheld."""
    (bounds,) = re.findall(r"^CapBnd:\s+(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(int(bounds, 16) >> CAPABILITIES[capability] & 1)


def run(*command: str | Path, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run *command* and return what it said; with *check*, fail with that if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0 or not check, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done


@dataclass(frozen=True)
class Machine:
    """A running machine."""

    container: str
    address: str
    folder: Path
    disk: Path
    """The file behind its block device."""
    device: str

    @property
    def ssh_options(self) -> list[str]:
        """Options that log in by the test's key, and know the machine by its host key."""
        known, key = self.folder / "known_hosts", self.folder / "key"
        return ["-F", os.devnull, "-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"]

    def ssh(self, *command: str, check: bool = True) -> str:
        """Run *command*, words of a shell, as root over SSH."""
        return run("ssh", *self.ssh_options, f"cc@{self.address}", "sudo", *command, check=check).stdout

    @contextmanager
    def seeing(self, *ports: int) -> Iterator[None]:
        """Let the machine's loopback ports lead to those of this machine, where the servers of tests are."""
        forwards = [word for port in ports for word in ("-R", f"127.0.0.1:{port}:127.0.0.1:{port}")]
        control = self.folder / "tunnel"
        # It goes to the background once all ports are forwarded.
        tunnel = ("ssh", *self.ssh_options, "-S", control)
        run(*tunnel, "-fNM", "-o", "ExitOnForwardFailure=yes", *forwards, f"cc@{self.address}")
        try:
            yield
        finally:
            run(*tunnel, "-O", "exit", self.address, check=False)


@contextmanager
def started(folder: Path, base: str, mebibytes: int) -> Iterator[Machine]:
    """Build and start a machine on the image *base*, with a block device of that size; end it afterwards."""
    build = ["docker", "build", "--quiet", "--target", "machine", "--tag", IMAGE, "--build-arg", f"BASE={base}"]
    run(*build, ROOT / "tests" / "support" / "stand_ins", env={**os.environ, "DOCKER_BUILDKIT": "1"})
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key")
    disk = folder / "disk"
    with disk.open("wb") as file:
        file.truncate(mebibytes << 20)
    device = run("losetup", "--find", "--show", disk).stdout.strip()
    try:
        container = run(
            *("docker", "run", "--detach", "--rm", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup"),
            *(
                "--tmpfs=/run",
                "--tmpfs=/run/lock",
                "--volume=/var/lib/docker",
                "--device=/dev/fuse",
                f"--device={device}",
            ),
            *("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"),
            *(f"--cap-add={name}" for name in CAPABILITIES if is_allowed(name)),
            IMAGE,
        ).stdout.strip()
        try:
            address = _prepare(container, folder)
            yield Machine(container, address, folder, disk, device)
        finally:
            run("docker", "rm", "--force", container)
    finally:
        run("losetup", "--detach", device)


def _prepare(container: str, folder: Path) -> str:
    """Do what a cloud does at the first start: host keys, and the operator's key. Return the machine's address."""
    inside = ("docker", "exec", "--interactive", container)
    # As systemd does on a machine, where mounts reach the namespaces of containers.
    run(*inside, "mount", "--make-rshared", "/")
    until(lambda: run(*inside, "systemctl", "is-system-running", check=False).stdout.strip() in {"running", "degraded"})
    run(*inside, "sh", "-c", "cat >/home/cc/.ssh/authorized_keys", input=(folder / "key.pub").read_text())
    run(*inside, "sh", "-c", "ssh-keygen -A && systemctl reset-failed ssh && systemctl restart ssh")
    network = json.loads(run("docker", "inspect", container).stdout)[0]["NetworkSettings"]
    address = str(network["IPAddress"])
    host_key = run(*inside, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").stdout
    (folder / "known_hosts").write_text(f"{address} {host_key}")
    return address
