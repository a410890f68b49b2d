"""Supervised processes, which end with us: jobs that do one thing, and services that become ready."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from demo.stack.ports import is_free
from snap2caption.errors import UserError

_POLL = 0.1
_TAIL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How to run something. ``environment`` is the whole environment of its process."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    grace: float = 8.0
    """Seconds between the signal and SIGKILL."""
    stop_signal: signal.Signals = signal.SIGTERM
    """The signal that ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Job):
    """How to run a service, and how to tell that it is ready: ``ready_url`` answers with a status below
    ``ready_below``.
    """

    ready_url: str
    ready_below: int = 400
    timeout: float = 300.0
    """Seconds within which it must be ready."""
    files: Mapping[Path, str] = field(default_factory=dict)
    """Files to write (readable by their owner only) before the start."""


class ProcessError(UserError):
    """A process did not start, or died."""


class Running:
    """A job's process, started under a supervisor. Its output goes to ``<logs>/<name>.log``."""

    def __init__(self, job: Job, logs: Path) -> None:
        self.name = job.name
        self.log = logs / f"{job.name}.log"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        supervisor = (sys.executable, "-m", "demo.stack.supervisor", str(job.grace), job.stop_signal.name)
        with self.log.open("wb") as log:
            self._supervisor = subprocess.Popen(
                [*supervisor, *job.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(job.environment),
                # Its own session, which neither the terminal nor a kill of our group reaches: it must outlive us, to
                # clean up.
                start_new_session=True,
            )

    def status(self) -> int | None:
        """Return the status that the process ended with, or None while it runs."""
        return self._supervisor.poll()

    def request_stop(self) -> None:
        """Ask the process to end, and return at once."""
        if self._supervisor.stdin is not None:
            self._supervisor.stdin.close()

    def stop(self) -> None:
        """End the process and everything that it started."""
        self.request_stop()
        self._supervisor.wait()

    def memory(self) -> int:
        """Return the bytes of memory that the process and its children use, each shared page counted once (PSS)."""
        try:
            root = psutil.Process(self._supervisor.pid)
            return sum(map(_pss, [root, *root.children(recursive=True)]))
        except psutil.NoSuchProcess:
            return 0

    def tail(self) -> str:
        """Return the log's path and its last lines."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join([f"the end of {self.log}:", *lines])


def check_port(service: Service) -> None:
    """Make sure that nobody listens on the service's port.

    Raises:
        ProcessError: somebody does.
    """
    port = urlsplit(service.ready_url).port
    if port is not None and not is_free(port):
        raise ProcessError(
            f"Port {port} for {service.name} is in use by another program; stop that, or start again for another port."
        )


def wait_until_ready(started: Iterable[tuple[Service, Running]]) -> None:
    """Wait until every service answers.

    Raises:
        ProcessError: one ended, or took too long.
    """
    waiting, began = list(started), time.monotonic()
    # One client: each new one reads the authorities' certificates, which takes processor time from what starts.
    with httpx.Client(timeout=10.0) as client:
        while waiting:
            for service, running in waiting.copy():
                if running.status() is not None:
                    raise ProcessError(f"{service.name} ended by itself; {running.tail()}")
                if answers(service, client):
                    waiting.remove((service, running))
                elif time.monotonic() - began > service.timeout:
                    raise ProcessError(f"{service.name} was not ready after {service.timeout:.0f} s; {running.tail()}")
            if waiting:
                time.sleep(_POLL)


def answers(service: Service, client: httpx.Client) -> bool:
    """Return whether *service* is ready by its answer to *client*."""
    try:
        return client.get(service.ready_url).status_code < service.ready_below
    except httpx.HTTPError:
        return False


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
