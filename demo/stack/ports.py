"""Port allocation: free loopback ports, the same ones from start to start if they are still free."""

import json
import random
import socket
from pathlib import Path

from snap2caption.errors import UserError

HOST = "127.0.0.1"

# Below the range from which systems hand out ports by themselves, and low enough for SeaweedFS, which adds 10,000 for
# gRPC.
_FIRST, _LAST = 12000, 22000
_GRPC_OFFSET = 10000


class Ports:
    """Assigns one port per name, and remembers them in *file*."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._known: dict[str, int] = json.loads(file.read_text())
        except (OSError, ValueError):
            self._known = {}
        self._taken: set[int] = set()

    def get(self, name: str) -> int:
        """Return a port for *name* on which nothing listens."""
        known = self._known.get(name)
        port = known if known is not None and self._usable(known) else self._search()
        self._taken.add(port)
        if port != known:
            self._known[name] = port
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._known))
        return port

    def _usable(self, port: int) -> bool:
        return port not in self._taken and is_free(port) and is_free(port + _GRPC_OFFSET)

    def _search(self) -> int:
        # Not the global generator, which training seeds: all runs with the same seed would get the same ports.
        candidates = random.SystemRandom().sample(range(_FIRST, _LAST), 200)
        found = next((port for port in candidates if port not in self._known.values() and self._usable(port)), None)
        if found is None:
            raise UserError(f"No free port between {_FIRST} and {_LAST} on {HOST}; stop some of what listens there.")
        return found


def is_free(port: int) -> bool:
    """Whether nothing listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
