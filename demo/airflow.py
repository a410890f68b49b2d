"""Client of the parts of Airflow's REST API that the demo uses."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import httpx

from demo.stack.services.airflow import AirflowAccess
from snap2caption.errors import UserError

FINISHED = {"success", "failed"}
DONE = {"success", "skipped", "failed", "upstream_failed", "removed"}
_LOG_LINES = 12
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, slots=True)
class TaskInstance:
    """A task of a run. ``state`` is None until it is scheduled."""

    name: str
    state: str | None
    attempt: int
    index: int
    """The index of a task that is mapped over a list; -1 for any other task."""


class AirflowClient:
    """A logged-in client, and a context manager that closes its connection. The caller bounds every wait."""

    def __init__(self, access: AirflowAccess) -> None:
        self._access = access
        self._http = httpx.Client(base_url=access.url, timeout=120.0)
        self._login()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def _login(self) -> None:
        login = {"username": self._access.user, "password": self._access.password}
        answer = self._patiently("POST", "/auth/token", json=login)
        answer.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        answer = self._patiently(method, f"/api/v2{path}", **arguments)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            # Tokens expire.
            self._login()
            answer = self._patiently(method, f"/api/v2{path}", **arguments)
        return answer

    def _patiently(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request, and retry for a while if Airflow's database is locked or its server busy."""
        for pause in _PAUSES:
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.TransportError:
                pass
            else:
                if not answer.is_server_error:
                    return answer
            time.sleep(pause)
        raise UserError(f"Airflow at {self._access.url} does not answer; see its log.")

    def _get(self, path: str, **parameters: Any) -> Any:
        answer = self._ask("GET", path, params=parameters)
        answer.raise_for_status()
        return answer.json()

    def knows(self, dag: str) -> bool:
        """Whether Airflow has parsed the DAG."""
        return self._ask("GET", f"/dags/{dag}").status_code == httpx.codes.OK

    def import_errors(self) -> list[str]:
        """Return the errors in parsing DAG files."""
        return [error["stack_trace"] for error in self._get("/importErrors")["import_errors"]]

    def end_unfinished_runs(self, dag: str) -> None:
        """Mark runs that a killed demo left behind as failed. A new run repeats their work, which is harmless."""
        for state in ("running", "queued"):
            for run in self._get(f"/dags/{dag}/dagRuns", state=state)["dag_runs"]:
                self._ask(
                    "PATCH", f"/dags/{dag}/dagRuns/{run['dag_run_id']}", json={"state": "failed"}
                ).raise_for_status()

    def unpause(self, dag: str) -> None:
        """Unpause the DAG."""
        self._ask("PATCH", f"/dags/{dag}", json={"is_paused": False}).raise_for_status()

    def trigger(self, dag: str, conf: dict[str, Any]) -> str:
        """Trigger a run with the parameters *conf*; return its id."""
        answer = self._ask("POST", f"/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf})
        if answer.is_client_error:
            raise UserError(f"Airflow refused to run {dag}: {answer.json().get('detail')}")
        answer.raise_for_status()
        return str(answer.json()["dag_run_id"])

    def runs(self, dag: str) -> list[str]:
        """Return the ids of the DAG's runs, the newest first."""
        found = self._get(f"/dags/{dag}/dagRuns", order_by="-run_after", limit=50)["dag_runs"]
        return [run["dag_run_id"] for run in found]

    def state(self, dag: str, run: str) -> str:
        """Return the run's state."""
        return str(self._get(f"/dags/{dag}/dagRuns/{run}")["state"])

    def tasks(self, dag: str, run: str) -> list[TaskInstance]:
        """Return the run's tasks."""
        found = self._get(f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return [TaskInstance(task["task_id"], task["state"], task["try_number"], task["map_index"]) for task in found]

    def result(self, dag: str, run: str, task: str) -> Any:
        """Return what the task returned."""
        return self._get(f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value", deserialize=True)[
            "value"
        ]

    def conf(self, dag: str, run: str) -> dict[str, Any]:
        """Return the parameters that the run was triggered with."""
        conf: dict[str, Any] = self._get(f"/dags/{dag}/dagRuns/{run}")["conf"]
        return conf

    def links(self, dag: str, run: str, task: str) -> dict[str, str]:
        """Return the task's links by their names."""
        found: dict[str, str] = self._get(f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/links")["extra_links"]
        return found

    def watch(self, dag: str, run: str, timeout: float) -> Iterator[list[TaskInstance]]:
        """Yield the run's tasks every second until the run has finished.

        Raises:
            UserError: a task failed for good (with the end of its log), or time is up.
        """
        deadline = time.monotonic() + timeout
        while True:
            state, tasks = self.state(dag, run), self.tasks(dag, run)
            yield tasks
            if state == "success":
                return
            if state == "failed":
                raise UserError(self._failure(dag, run, tasks))
            if time.monotonic() > deadline:
                raise UserError(f"The DAG {dag} was not done after {timeout:.0f} s; see its run {run} in Airflow.")
            time.sleep(1.0)

    def _failure(self, dag: str, run: str, tasks: list[TaskInstance]) -> str:
        failed = next((task for task in tasks if task.state == "failed"), None)
        if failed is None:
            return f"The DAG {dag} failed before any of its tasks; see its run {run} in Airflow."
        # Without the folds of the UI.
        lines = [line for line in self.log(dag, run, failed) if line and not line.startswith("::")]
        log = "\n".join(lines[-_LOG_LINES:])
        return f"The task {failed.name} of the DAG {dag} failed; the end of its log:\n{log}"

    def log(self, dag: str, run: str, task: TaskInstance) -> list[str]:
        """Return the messages of a task's last attempt."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task.name}/logs/{task.attempt}"
        parameters = {"full_content": True, "map_index": task.index}
        answer = self._ask("GET", path, params=parameters, headers={"Accept": "application/json"})
        if not answer.is_success:
            return [f"(no log: status {answer.status_code})"]
        return [line for entry in answer.json()["content"] for line in _lines(entry)]


def _lines(entry: str | dict[str, Any]) -> list[str]:
    """Return a log entry as text: its message and, for an exception, that of the exception."""
    if isinstance(entry, str):
        return [entry]
    errors = entry.get("error_detail") or []
    return [str(entry.get("event", "")), *(f"{error['exc_type']}: {error['exc_value']}" for error in errors)]
