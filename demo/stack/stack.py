"""Stack of all services over one state folder."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from demo.stack.leftovers import MARK, end_leftovers
from demo.stack.ownership import owned
from demo.stack.ports import Ports
from demo.stack.secret_files import write_secret
from demo.stack.service import Job, ProcessError, Running, Service, check_port, wait_until_ready
from demo.stack.services.airflow import AirflowAccess, airflow, store_connection
from demo.stack.services.label_studio import LabelStudioAccess, label_studio, label_studio_webhook
from demo.stack.services.mlflow import mlflow
from demo.stack.services.seaweedfs import Console, seaweedfs
from demo.stack.services.serving import serving

BUCKET = "snap2caption"

_Job = TypeVar("_Job", bound=Job)


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses and logins of the services. ``environment`` makes a process a client of all of them."""

    airflow: AirflowAccess
    mlflow: str
    s3: str
    serving: str
    environment: dict[str, str]
    console: Console
    label_studio: LabelStudioAccess | None = None


class Stack:
    """Processes over one state folder, as a context manager that ends all of them on exit.

    They also end if this process dies, even by SIGKILL (see `demo.stack.supervisor`).
    """

    def __init__(self, state: Path) -> None:
        self.state = state.resolve()
        self._running: list[Running] = []
        self._context = ExitStack()

    def __enter__(self) -> Self:
        """Lock the state folder.

        Raises:
            UserError: another stack has it, or it can't be used.
        """
        self._context.enter_context(owned(self.state))
        end_leftovers(str(self.state))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._context:
            self.stop()

    def plan(self, *, annotators: bool = False) -> tuple[Services, list[Service]]:
        """Choose ports and return how to run each service; with *annotators*, Label Studio and its webhook's receiver,
        too.

        Raises:
            UserError: Label Studio is requested but not installed.
        """
        ports = Ports(self.state / "ports.json")
        s3_service, s3_client, console = seaweedfs(self.state, ports)
        mlflow_service, mlflow_url = mlflow(self.state, ports)
        addresses = {
            "SNAP2CAPTION_STATE_DIR": str(self.state),
            "SNAP2CAPTION_DATASETS_URI": f"s3://{BUCKET}/datasets",
            "SNAP2CAPTION_FEEDBACK_URI": f"s3://{BUCKET}/feedback",
            "SNAP2CAPTION_MLFLOW_TRACKING_URI": mlflow_url,
        }
        serving_service, serving_url = serving({**s3_client, **addresses}, ports)
        addresses["SNAP2CAPTION_SERVING_URL"] = serving_url
        addresses["SNAP2CAPTION_STORE_CONSOLE_URL"] = console.url
        addresses["SNAP2CAPTION_STORE_FILES_URL"] = console.files
        plans, annotating = [s3_service, mlflow_service, serving_service], None
        if annotators:
            label_studio_service, annotating = label_studio(self.state, ports, s3_client)
            addresses |= annotating.environment
            plans.append(label_studio_service)
        airflow_service, access = airflow(self.state, ports, {**store_connection(s3_client), **addresses})
        plans.append(airflow_service)
        if annotating:
            plans.append(label_studio_webhook(annotating, access))
        environment = {**s3_client, **addresses}
        services = Services(
            access, mlflow_url, s3_client["AWS_ENDPOINT_URL"], serving_url, environment, console, annotating
        )
        return services, plans

    def start(self, services: Sequence[Service]) -> None:
        """Start services in parallel and wait until each is ready.

        Raises:
            ProcessError: a service did not become ready.
        """
        for service in services:
            check_port(service)
            for path, content in service.files.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_secret(path, content.encode())
        wait_until_ready([(service, self.run(service)) for service in services])

    def run(self, job: Job) -> Running:
        """Start a process and return at once."""
        running = Running(self._marked(job), self.state / "logs")
        self._running.append(running)
        return running

    def check(self, services: Sequence[Service]) -> None:
        """Make sure that the services still run.

        Raises:
            ProcessError: one has ended.
        """
        names = {service.name for service in services}
        for running in self._running:
            if running.name in names and running.status() is not None:
                raise ProcessError(f"{running.name} ended by itself; {running.tail()}")

    def stop(self) -> None:
        """End all processes in parallel, the last started first."""
        for running in reversed(self._running):
            running.request_stop()
        while self._running:
            self._running.pop().stop()

    def memory(self) -> int:
        """Return the bytes of memory that all processes use."""
        return sum(running.memory() for running in self._running.copy())

    def _marked(self, job: _Job) -> _Job:
        return replace(job, environment={**job.environment, MARK: str(self.state)})
