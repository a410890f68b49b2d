"""Training as a Ray Train job, on an existing cluster or on a temporary local Ray."""

import logging
import os
import signal
import socket
from types import FrameType
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer

from snap2caption.command_line.console import log_to_stderr
from snap2caption.errors import StoppedError, UserError
from snap2caption.runtime.garbage_collection import collect_less
from snap2caption.settings import Settings
from training.distributed import COLLECTIVE_TIMEOUT, LostError, backends
from training.recipes.recipe import Recipe

RAY_ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment variables that keep Ray from changing working directories and from starting unneeded services."""

FORWARDED_PREFIXES = ("SNAP2CAPTION_", "AWS_", "OS_", "ST_", "MLFLOW_", "OMP_")
"""Prefixes of the environment variables that are passed on to the processes: addresses of services, and their
credentials.
"""

CONNECT_TIMEOUT = 10.0
"""Timeout of a connection to a cluster."""

OBJECT_STORE = 128 << 20
"""Size of a temporary Ray's object store in bytes; nothing large passes through it."""


def run(recipe: Recipe, settings: Settings, *, force: bool) -> str:
    """Train as a job on Ray; return the MLflow run id.

    Raises:
        UserError: the cluster can't be reached or is too small, or a process raised it or died; the others have
            been stopped.
        StoppedError: SIGTERM arrived.
    """
    os.environ |= RAY_ENVIRONMENT
    _connect(recipe)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        trainer = TorchTrainer(
            _work,
            train_loop_config={
                "recipe": recipe.model_dump(mode="json"),
                # Settings that are not set explicitly keep each machine's own values.
                "settings": settings.model_dump(exclude_unset=True),
                "force": force,
                "environment": {
                    name: value for name, value in os.environ.items() if name.startswith(FORWARDED_PREFIXES)
                },
            },
            torch_config=TorchConfig(backend=backends(), timeout_s=int(COLLECTIVE_TIMEOUT.total_seconds())),
            scaling_config=_scaling(recipe),
            # Only Ray's own state goes there. No retries: running the same command again resumes from this
            # project's last checkpoint.
            run_config=RunConfig(
                storage_path=str(settings.state_dir / "ray"), failure_config=FailureConfig(max_failures=0)
            ),
        )
        return str(trainer.fit().return_value)
    except WorkerGroupError as error:
        raise _explained(error) from error
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, before)


def _connect(recipe: Recipe) -> None:
    address = recipe.launcher.address
    if address is None:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE,
            _node_ip_address="127.0.0.1",
            logging_level=logging.ERROR,
            logging_config=ray.LoggingConfig(log_level="ERROR"),
        )
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():
            # Ray itself would retry for minutes.
            socket.create_connection((host, int(port)), CONNECT_TIMEOUT).close()
        ray.init(address=address, logging_level=logging.WARNING)
    except OSError as error:
        raise UserError(
            f"No Ray cluster answers at {address} ({' '.join(str(error).split())}); "
            "start a cluster, or correct launcher.address."
        ) from error


def _scaling(recipe: Recipe) -> ScalingConfig:
    """Return the number of processes and their resources; by default one process per GPU of the cluster.

    Raises:
        UserError: the cluster has too few resources, or a batch can't be divided among that many processes.
    """
    launcher, there = recipe.launcher, ray.cluster_resources()
    processes = launcher.processes or max(1, int(there.get("GPU", 0)))
    resources = launcher.resources or ({"GPU": 1.0} if there.get("GPU") else {"CPU": 1.0})
    try:
        recipe.share_of_batch(processes)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    for name, amount in resources.items():
        # Ray itself would wait for more machines to join.
        if amount * processes > there.get(name, 0):
            raise UserError(
                f"{processes} processes with {amount:g} {name} each need more than "
                f"the {there.get(name, 0):g} of the Ray cluster; lower launcher.processes or launcher.resources."
            )
    return ScalingConfig(num_workers=processes, use_gpu="GPU" in resources, resources_per_worker=resources)


def _work(work: dict[str, Any]) -> str:
    """Train as one of the job's processes."""
    collect_less()
    os.environ |= work["environment"]
    from training.pipeline import train

    log_to_stderr(logging.INFO if os.environ["RANK"] == "0" else logging.WARNING)
    return train(Recipe.model_validate(work["recipe"]), Settings(**work["settings"]), force=work["force"])


def _stop(_: int, __: FrameType | None) -> None:
    raise StoppedError("Training was stopped; run the same command again to resume from its last checkpoint.")


def _explained(error: WorkerGroupError) -> Exception:
    """Return the error to raise for failed processes.

    It is the UserError of one of them, or a LostError if processes died; a bug in the code is returned unchanged.
    """
    failures = list(error.worker_failures.values())
    for failure in failures:
        if isinstance(failure, UserError) and not isinstance(failure, LostError):
            return failure
    if all(isinstance(failure, LostError) or type(failure).__module__.startswith("ray.") for failure in failures):
        return LostError()
    unexplained: Exception = error
    return unexplained
