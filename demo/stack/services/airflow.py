"""Airflow standalone: scheduler, DAG processor, triggerer and API server on SQLite."""

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.stack.ports import HOST, Ports
from demo.stack.secret_files import keep_secrets
from demo.stack.service import Service
from snap2caption.shipped import dags_folder

USER = "admin"
WEBHOOK_USER = "snap2caption-webhook"


@dataclass(frozen=True, slots=True)
class AirflowAccess:
    """Airflow's address and login."""

    url: str
    user: str
    password: str
    webhook_password: str
    """The password of `WEBHOOK_USER`, who may raise events of assets."""


def airflow(state: Path, ports: Ports, client_environment: Mapping[str, str]) -> tuple[Service, AirflowAccess]:
    """Return how to run Airflow with its data under *state*, and how to reach it.

    Its tasks get *client_environment*, which makes them clients of the other services.
    """
    home = state / "airflow"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = ports.get("airflow")
    url = f"http://{HOST}:{port}"
    secret = keep_secrets(home / "secrets.json", ("api", "jwt", "password", "webhook"), 32)
    settings = {
        "CORE__DAGS_FOLDER": str(dags_folder()),
        # Airflow imports every file of that folder under its bare name, which would hide our packages; ours is an
        # entry point.
        "CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__FERNET_KEY": "",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin,{WEBHOOK_USER}:viewer",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "API__HOST": HOST,
        "API__PORT": str(port),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "API__SECRET_KEY": secret["api"],
        "API_AUTH__JWT_SECRET": secret["jwt"],
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # Short intervals: on one machine, waiting costs more than polling.
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        # A task whose process was killed is noticed after this time, and retried.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    }
    service = Service(
        name="airflow",
        command=(sys.executable, "-m", "demo.stack.services.airflow_standalone"),
        environment={
            **os.environ,
            **client_environment,
            # Airflow calls its own command by name.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AIRFLOW_HOME": str(home),
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
        },
        ready_url=f"{url}/api/v2/version",
        timeout=600.0,
        # SIGTERM would end it at once, and leave its parts without the pipes that they log to.
        stop_signal=signal.SIGINT,
        grace=16.0,
        files={home / "passwords.json": json.dumps({USER: secret["password"], WEBHOOK_USER: secret["webhook"]})},
    )
    return service, AirflowAccess(url, USER, secret["password"], secret["webhook"])


def store_connection(client: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that defines Airflow's connection to the S3 server.

    *client* is the environment of the server's clients.
    """
    connection = {
        "conn_type": "aws",
        "login": client["AWS_ACCESS_KEY_ID"],
        "password": client["AWS_SECRET_ACCESS_KEY"],
        "extra": {"endpoint_url": client["AWS_ENDPOINT_URL"], "region_name": client["AWS_DEFAULT_REGION"]},
    }
    return {"AIRFLOW_CONN_SNAP2CAPTION_STORE": json.dumps(connection)}
