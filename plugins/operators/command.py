"""Running a stage as a command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from plugins.conf import check_conf
from plugins.hooks.environment import LabelStudioHook, MlflowHook, StoreHook
from snap2caption.redaction import redact

_AIRFLOWS = ("AIRFLOW__", "_AIRFLOW", "AIRFLOW_CONN_", "AIRFLOW_VAR_")


class CommandOperator(BaseOperator):
    """Base of operators that run ``snap2caption <arguments> --json``: heavy libraries stay out of Airflow's process.

    Standard error goes to the task's log as it comes; standard output is the result.
    """

    # Statuses that are an answer, and no failure.
    answers: Sequence[int] = (0,)

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.result: Any = None
        self._process: subprocess.Popen[str] | None = None

    def pre_execute(self, context: Any) -> None:
        """Refuse a run that was triggered with what its DAG does not know, before anything is done."""
        check_conf(context)

    def run(self, *arguments: str) -> Any:
        """Run the command and return its result.

        Raises:
            AirflowException: it failed; the message is its last line.
        """
        command = [sys.executable, "-m", "snap2caption", *arguments, "--json"]
        self.log.info("running %s", redact(" ".join(command[2:])))
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            start_new_session=True,
        ) as process:
            self._process = process
            last: list[str] = []
            reader = threading.Thread(target=self._follow, args=(process, last), daemon=True)
            reader.start()
            try:
                output = process.stdout.read() if process.stdout else ""
                reader.join()
            except BaseException:
                # Airflow ends a task by an exception (a time-out, say): our child must not outlive it.
                self.on_kill()
                raise
        # An answer comes with a document; without one the command failed before it had any.
        if process.returncode not in self.answers or not output.strip():
            raise AirflowException(
                last[-1] if last else f"`snap2caption {arguments[0]}` ended with status {process.returncode}."
            )
        self.result = json.loads(output)
        return self.result

    def on_kill(self) -> None:
        """End the command: it saves what it can on SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _follow(self, process: "subprocess.Popen[str]", last: list[str]) -> None:
        for line in process.stderr or ():
            # Libraries write there, too.
            if text := redact(line.rstrip()):
                self.log.info("%s", text)
                last[:] = [text]


def environment() -> dict[str, str]:
    """Return the environment of commands: the worker's, and what the connections of the store, of MLflow and of Label Studio say."""
    # Airflow's own settings mean nothing to the command, and its secrets are none of the command's business.
    own = {name: value for name, value in os.environ.items() if not name.startswith(_AIRFLOWS)}
    hooks = (StoreHook(), MlflowHook(), LabelStudioHook())
    return own | {name: value for hook in hooks for name, value in hook.environment().items()}
