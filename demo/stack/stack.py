"""All services together, in the order in which they need each other."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from demo.stack.ports import Ports
from demo.stack.service import Service, Spec
from demo.stack.services.airflow import AirflowAccess, airflow
from demo.stack.services.mlflow import mlflow
from demo.stack.services.seaweedfs import seaweedfs
from demo.stack.services.serving import serving
from snap2caption.errors import UserError

BUCKET = "snap2caption"


@dataclass(frozen=True, slots=True)
class Services:
    """Where everything is. ``environment`` makes a process a client of all of it."""

    airflow: AirflowAccess
    mlflow: str
    s3: str
    serving: str
    environment: dict[str, str]


class Stack:
    """The embedded services over one state folder. A context: leaving it ends every process, whatever happened inside.

    A process that dies without leaving, by SIGKILL even, takes its services with it (see `demo.stack.supervisor`).
    """

    def __init__(self, state: Path) -> None:
        self.state = state.resolve()
        self.logs = self.state / "logs"
        self._started: list[Service] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self) -> Services:
        """Start everything and return once all of it answers."""
        services, specs = plan(self.state)
        self.start(specs)
        return services

    def start(self, specs: Sequence[Spec]) -> None:
        """Start services side by side and wait until each is ready."""
        services = [Service(spec, self.logs) for spec in specs]
        for service in services:
            self._started.append(service)
            service.start()
        with ThreadPoolExecutor(len(services)) as waiting:
            for waited in [waiting.submit(service.wait_ready) for service in services]:
                waited.result()

    def stop(self) -> None:
        """End every service, side by side, the last started first."""
        for service in reversed(self._started):
            service.request_stop()
        while self._started:
            self._started.pop().stop()

    def check(self) -> None:
        """Raise `ServiceError` if a service has ended."""
        for service in self._started:
            service.is_ready()

    def memory(self) -> int:
        """Return the bytes of memory that the services use, each shared page counted once (PSS)."""
        total = 0
        for service in self._started:
            try:
                root = psutil.Process(service.pid)
                family = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            total += sum(map(_pss, family))
        return total


def plan(state: Path) -> tuple[Services, list[Spec]]:
    """Choose ports and return how to run each service over *state*."""
    ports = Ports(state / "ports.json")
    s3_spec, s3_client, console = seaweedfs(state, ports)
    mlflow_spec, mlflow_url = mlflow(state, ports)
    environment = {
        **s3_client,
        "SNAP2CAPTION_STATE_DIR": str(state),
        "SNAP2CAPTION_DATASETS_URI": f"s3://{BUCKET}/datasets",
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": mlflow_url,
    }
    serving_spec, serving_url = serving(environment, ports)
    environment["SNAP2CAPTION_SERVING_URL"] = serving_url
    environment["SNAP2CAPTION_STORE_CONSOLE_URL"] = console
    airflow_spec, access = airflow(state, ports, environment)
    services = Services(access, mlflow_url, s3_client["AWS_ENDPOINT_URL"], serving_url, environment)
    return services, [s3_spec, mlflow_spec, airflow_spec, serving_spec]


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the state folder: two demos on one folder would trip over each other. The system drops the lock with the process.

    Raises:
        UserError: somebody holds it, or the folder can't be made.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise UserError(
            f"The state folder {state} can't be used ({error.strerror}); choose another with --state."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UserError(
            f"A demo is running on {state} already; stop it first, or choose another folder with --state."
        ) from error
    finally:
        os.close(lock)


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
