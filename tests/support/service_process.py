"""The caption service as a process, over a test's own installation."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from victims import Victim

from demo.stack.ports import HOST, Ports
from demo.stack.service import Service
from snap2caption.settings import Settings


def environment(installation: Settings, **more: str) -> dict[str, str]:
    # A training in this process draws no bars, which says nothing of the service.
    inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"}
    return {
        **inherited,
        "SNAP2CAPTION_STATE_DIR": str(installation.state_dir),
        "SNAP2CAPTION_MODELS_DIR": str(installation.models_dir),
        "SNAP2CAPTION_MLFLOW_TRACKING_URI": installation.mlflow_tracking_uri,
        "SNAP2CAPTION_REGISTERED_MODEL": installation.registered_model,
        "SNAP2CAPTION_SERVING_POLL_SECONDS": "0.3",
        "SNAP2CAPTION_SERVING_MAX_NEW_TOKENS": "16",
        "OMP_NUM_THREADS": "1",
        **more,
    }


def service(folder: Path, env: dict[str, str]) -> Service:
    port = Ports(folder / "ports.json").get("serving")
    return Service(
        name="serving",
        command=(sys.executable, "-m", "snap2caption", "serve", "--port", str(port)),
        environment=env,
        ready_url=f"http://{HOST}:{port}/readyz",
        grace=5.0,
    )


@contextmanager
def server(folder: Path, env: dict[str, str]) -> Iterator[str]:
    """Run the service, which writes to ``logs/serving.log`` in *folder*; yield its address. A test may kill it."""
    serving, logs = service(folder, env), folder / "logs"
    logs.mkdir(exist_ok=True)
    victim = Victim(serving, logs / f"{serving.name}.log")
    try:
        victim.wait()
        yield serving.ready_url.removesuffix("/readyz")
    finally:
        victim.end()
