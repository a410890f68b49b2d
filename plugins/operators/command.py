"""Base operator that runs a stage as a command in its own process."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from plugins.conf import check_conf
from plugins.hooks.environment import LabelStudioHook, MlflowHook, StoreHook
from snap2caption.redaction import redact

_AIRFLOWS = ("AIRFLOW__", "_AIRFLOW", "AIRFLOW_CONN_", "AIRFLOW_VAR_")


class CommandOperator(BaseOperator):
    """Base of operators that run ``snap2caption <arguments> --json``.

    Heavy libraries stay out of Airflow's process this way. Standard error is streamed to the task's log. Standard
    output is the result.
    """

    # Exit statuses that are an answer, not a failure.
    answers: Sequence[int] = (0,)

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.result: Any = None
        self._process: subprocess.Popen[str] | None = None

    def pre_execute(self, context: Any) -> None:
        """Refuse a run whose ``conf`` has unknown parameters or forbidden overrides, before any work."""
        check_conf(context)

    def run(self, command: str, *operands: str, **options: Any) -> Any:
        """Run *command*, such as ``feedback build``, and return its JSON result.

        Args:
            command: the command's words.
            operands: its positional arguments. Each may begin with any character.
            options: its options by name, as `command_line` takes them.

        Raises:
            AirflowException: the command failed. The message is the last line of its standard error.
        """
        line = command_line(command, operands, options)
        self.log.info("running %s", redact(" ".join(line[2:])))
        with subprocess.Popen(
            line,
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
                # Airflow ends a task by an exception, for example on a timeout. Our child must not outlive the task.
                self.on_kill()
                raise
        # An answer comes with a JSON document. Without one, the command failed before it had an answer.
        if process.returncode not in self.answers or not output.strip():
            raise AirflowException(
                last[-1] if last else f"`snap2caption {command}` ended with status {process.returncode}."
            )
        self.result = json.loads(output)
        return self.result

    def on_kill(self) -> None:
        """End the command. It saves what it can on SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)

    def _follow(self, process: "subprocess.Popen[str]", last: list[str]) -> None:
        for line in process.stderr or ():
            # Libraries write to standard error, too, so blank lines and secrets occur.
            if text := redact(line.rstrip()):
                self.log.info("%s", text)
                last[:] = [text]


def command_line(command: str, operands: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    """Return the arguments of a process that runs ``snap2caption <command> --json``.

    Operands come from trigger forms and from other tasks. They follow ``--``, so that none is read as an option
    (POSIX.1, 12.2, guideline 10), and an option's value is part of the option's own argument. An option that is None,
    False or empty is left out; one that is True has no value; a list gives the option once per value.
    """
    given = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, values in options.items()
        for value in (values if isinstance(values, list) else [values])
        if value is not None and value is not False and value != ""
    ]
    return [sys.executable, "-m", "snap2caption", *command.split(), "--json", *given, "--", *map(str, operands)]


def environment() -> dict[str, str]:
    """Return the environment of commands: the worker's, and that of the connections to our services."""
    # The command needs neither Airflow's settings nor its secrets.
    own = {name: value for name, value in os.environ.items() if not name.startswith(_AIRFLOWS)}
    hooks = (StoreHook(), MlflowHook(), LabelStudioHook())
    return own | {name: value for hook in hooks for name, value in hook.environment().items()}
