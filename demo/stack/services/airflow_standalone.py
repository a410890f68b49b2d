"""Entry point ``python -m demo.stack.services.airflow_standalone``.

It is `airflow standalone` without its log servers, and with a role for the webhook's receiver.
"""

import sys

from airflow.__main__ import main
from airflow.cli.commands import standalone_command

_WITH_LOG_SERVER = ("scheduler", "triggerer")
_AUTH_MANAGER = "demo.stack.services.airflow_access.AccessManager"


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
