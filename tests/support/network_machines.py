"""Machines as network namespaces: each reaches one address of this machine and nothing else, and has a disk of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

STORES = "10.213.71.1"
"""The address of this machine that the others reach."""

_BRIDGE = f"two{os.getpid() % 10**6}"


class NetworkMachine:
    """A network namespace, in which a command sees an empty disk in place of *hidden*."""

    def __init__(self, name: str, address: str, hidden: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.address = address
        self._hidden = hidden
        self._environment = {**environment, "SNAP2CAPTION_STATE_DIR": str(hidden / "state")}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with a new disk to its end, or until it is killed."""
        disk = ("mount", "-t", "tmpfs", "none", str(self._hidden))
        return subprocess.run(
            ["ip", "netns", "exec", self.name, "unshare", "--mount", "--propagation=private", "sh", "-ec",
             '"$1" "$2" "$3" "$4" "$5"; shift 5; exec "$@"', "sh", *disk, *command],
            env={**os.environ, **self._environment},
            check=False,
            capture_output=True,
            text=True,
        )  # fmt: skip

    def snap2caption(self, *words: str) -> str:
        """Run a command of ``snap2caption``, and return what it prints."""
        done = self.run(sys.executable, "-m", "snap2caption", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def processes(self) -> list[int]:
        """Return the processes in it."""
        found = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True)
        return [int(number) for number in found.stdout.split()]

    def kill(self) -> None:
        """Kill every process in it at once, as when a machine loses its power."""
        while found := self.processes():
            for number in found:
                os.kill(number, signal.SIGKILL)


@contextmanager
def machines(names: list[str], hidden: Path, environment: Mapping[str, str]) -> Iterator[list[NetworkMachine]]:
    """Attach the namespaces of *names* to the network, and remove them afterwards. `network` must be up."""
    with ExitStack() as stack:
        for number, name in enumerate(names):
            space, link = f"{_BRIDGE}-{name}", f"{_BRIDGE}v{number}"
            _ip("netns", "add", space)
            stack.callback(_ip, "netns", "delete", space)
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
            # Isolated ports of a bridge don't reach each other.
            _ip("link", "set", link, "master", _BRIDGE, "up")
            _ip("link", "set", link, "type", "bridge_slave", "isolated", "on")
            _ip("-n", space, "address", "add", f"{_address(number)}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")
        found = enumerate(names)
        yield [NetworkMachine(f"{_BRIDGE}-{name}", _address(number), hidden, environment) for number, name in found]


@contextmanager
def network() -> Iterator[None]:
    """A bridge with the address `STORES`."""
    _ip("link", "add", _BRIDGE, "type", "bridge")
    try:
        _ip("address", "add", f"{STORES}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        yield
    finally:
        _ip("link", "delete", _BRIDGE)


def _address(number: int) -> str:
    return f"{STORES.rpartition('.')[0]}.{10 + number}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
