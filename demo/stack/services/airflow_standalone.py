"""Airflow standalone without its log servers, and with a role for the webhook's receiver.

Usage: ``python -m demo.stack.services.airflow_standalone``.

Log servers hand logs to an API server on another machine. They listen on every interface, whatever the API's host,
and no setting changes that. On one machine the API server reads the files itself. The auth manager is set here,
since `airflow standalone` forces its own on its parts.
"""

import sys

from airflow.__main__ import main
from airflow.cli.commands import standalone_command

_WITH_LOG_SERVER = ("scheduler", "triggerer")
_AUTH_MANAGER = "plugins.access_manager.AccessManager"


class _Part(standalone_command.SubCommand):
    """One of the commands that `airflow standalone` runs."""

    def __init__(
        self, parent: standalone_command.StandaloneCommand, name: str, command: list[str], env: dict[str, str]
    ) -> None:
        quiet = ["--skip-serve-logs"] if name in _WITH_LOG_SERVER else []
        super().__init__(parent, name, [*command, *quiet], {**env, "AIRFLOW__CORE__AUTH_MANAGER": _AUTH_MANAGER})


if __name__ == "__main__":
    standalone_command.SubCommand = _Part
    sys.argv = ["airflow", "standalone"]
    main()
