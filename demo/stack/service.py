"""One service: started under a supervisor, waited for, stopped."""

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from snap2caption.errors import UserError

_POLL = 0.1
_TAIL = 8


@dataclass(frozen=True, slots=True)
class Spec:
    """How to run a service, and how to tell that it is ready.

    ``environment`` is the whole environment of its process. The service is ready when ``ready_url`` answers with a status below
    ``ready_below``.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready_url: str
    ready_below: int = 400
    timeout: float = 120.0
    """Seconds that it may take to be ready."""
    grace: float = 8.0
    """Seconds between SIGTERM and SIGKILL."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """Files to write (readable by their owner only) before the start."""


class ServiceError(UserError):
    """A service did not start, or died."""


class Service:
    """A running service. Its output goes to ``<logs>/<name>.log``."""

    def __init__(self, spec: Spec, logs: Path) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and return at once."""
        for path, content in self.spec.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(content)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        supervisor = (sys.executable, "-m", "demo.stack.supervisor", str(self.spec.grace))
        with self.log.open("wb") as log:
            self._supervisor = subprocess.Popen(
                [*supervisor, *self.spec.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self.spec.environment),
                # Out of the terminal's reach and of a kill of our own group: it must outlive us by the grace, to clean up.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The supervisor's process id: the root of everything that the service is."""
        assert self._supervisor is not None  # noqa: S101 - asked for after start
        return self._supervisor.pid

    def is_ready(self) -> bool:
        """Whether the service answers now.

        Raises:
            ServiceError: it has ended.
        """
        if self._supervisor is None or self._supervisor.poll() is not None:
            raise ServiceError(f"{self.spec.name} ended by itself; the end of {self.log}:\n{self.tail()}")
        try:
            return httpx.get(self.spec.ready_url, timeout=2.0).status_code < self.spec.ready_below
        except httpx.HTTPError:
            return False

    def wait_ready(self) -> None:
        """Wait until the service answers.

        Raises:
            ServiceError: it ended, or took too long.
        """
        deadline = time.monotonic() + self.spec.timeout
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{self.spec.name} was not ready after {self.spec.timeout:.0f} s; the end of {self.log}:\n{self.tail()}"
                )
            time.sleep(_POLL)

    def request_stop(self) -> None:
        """Ask the service to end, and return at once."""
        if self._supervisor is not None and self._supervisor.stdin is not None:
            self._supervisor.stdin.close()

    def stop(self) -> None:
        """End the service and everything that it started."""
        if self._supervisor is not None:
            self.request_stop()
            self._supervisor.wait()
            self._supervisor = None

    def tail(self) -> str:
        """Return the last lines of the log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
        except OSError:
            return "(no log)"
