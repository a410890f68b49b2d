"""MLflow server: tracking and registry on SQLite, artifacts through the server into a folder."""

import os
import sys
from pathlib import Path

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service


def mlflow(state: Path, ports: Ports) -> tuple[Service, str]:
    """Return how to run MLflow with its data under *state*, and its address."""
    folder = state / "mlflow"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = ports.get("mlflow")
    service = Service(
        name="mlflow",
        command=(
            sys.executable,
            "-m",
            "mlflow",
            "server",
            f"--host={HOST}",
            f"--port={port}",
            # One worker and no job runner need a quarter of the memory, and start twice as fast.
            "--workers=1",
            f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}",
            f"--artifacts-destination={(folder / 'artifacts').as_uri()}",
        ),
        environment={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        ready_url=f"http://{HOST}:{port}/health",
    )
    return service, f"http://{HOST}:{port}"
