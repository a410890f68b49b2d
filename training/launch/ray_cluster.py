"""Training as a Ray Train job, on a cluster or on a Ray that is started for the occasion."""

import logging
import os
import signal
import socket
from types import FrameType
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer

from snap2caption.console import log_to_stderr
from snap2caption.errors import StoppedError, UserError
from snap2caption.settings import Settings
from training.distributed import PATIENCE, LostError, backends
from training.recipes.recipe import Recipe

QUIET = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Variables that keep Ray from moving processes to a folder of its own, and doing what is not asked of it."""

CARRIED = ("SNAP2CAPTION_", "AWS_", "OS_", "ST_", "MLFLOW_", "OMP_")
"""Beginnings of the names of the variables that processes get from the command: where the services are, and their credentials."""

SECONDS_TO_ANSWER = 10.0
"""How long a cluster may take to take a connection."""

OBJECT_STORE = 128 << 20
"""Bytes of memory that a Ray started for the occasion shares between its processes: nothing large passes through it."""


def run(recipe: Recipe, settings: Settings, *, force: bool) -> str:
    """Train as a job on Ray; return the MLflow run's id.

    Raises:
        UserError: the cluster can't be reached or is too small, or a process raised it or was lost; the others have been ended.
        StoppedError: SIGTERM came.
    """
    os.environ |= QUIET
    _connect(recipe)
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        trainer = TorchTrainer(
            _work,
            train_loop_config={
                "recipe": recipe.model_dump(mode="json"),
                # What was not set is each machine's own.
                "settings": settings.model_dump(exclude_unset=True),
                "force": force,
                "environment": {name: value for name, value in os.environ.items() if name.startswith(CARRIED)},
            },
            torch_config=TorchConfig(backend=backends(), timeout_s=int(PATIENCE.total_seconds())),
            scaling_config=_scaling(recipe),
            # For Ray's own notes. The checkpoints are ours, and who gives the same command again goes on from the last one.
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
            # Ray itself would try for minutes.
            socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
        ray.init(address=address, logging_level=logging.WARNING)
    except OSError as error:
        raise UserError(
            f"No Ray cluster answers at {address} ({' '.join(str(error).split())}); start one, or correct launcher.address."
        ) from error


def _scaling(recipe: Recipe) -> ScalingConfig:
    """Return how many processes with what; none asked for: one for each GPU of the cluster.

    Raises:
        UserError: the cluster has not as much, or a batch can't be divided among that many.
    """
    launcher, there = recipe.launcher, ray.cluster_resources()
    processes = launcher.processes or max(1, int(there.get("GPU", 0)))
    resources = launcher.resources or ({"GPU": 1.0} if there.get("GPU") else {"CPU": 1.0})
    try:
        recipe.share_of_batch(processes)
    except ValueError as error:
        raise UserError(f"{error}.") from error
    for name, amount in resources.items():
        # Ray itself would wait for a machine to be added.
        if amount * processes > there.get(name, 0):
            raise UserError(
                f"{processes} processes of {amount:g} {name} want more than the {there.get(name, 0):g} of the Ray cluster; lower "
                "launcher.processes or launcher.resources."
            )
    return ScalingConfig(num_workers=processes, use_gpu="GPU" in resources, resources_per_worker=resources)


def _work(work: dict[str, Any]) -> str:
    """Train as one of the processes."""
    os.environ |= work["environment"]
    from training.pipeline import train

    log_to_stderr(logging.INFO if os.environ["RANK"] == "0" else logging.WARNING)
    return train(Recipe.model_validate(work["recipe"]), Settings(**work["settings"]), force=work["force"])


def _stop(_: int, __: FrameType | None) -> None:
    raise StoppedError("Training was stopped; the same command goes on from its last checkpoint.")


def _explained(error: WorkerGroupError) -> Exception:
    """Return what to raise for processes that failed: a sentence of theirs, or one about a death; a fault of the code's as it is."""
    failures = list(error.worker_failures.values())
    for failure in failures:
        if isinstance(failure, UserError) and not isinstance(failure, LostError):
            return failure
    if all(isinstance(failure, LostError) or type(failure).__module__.startswith("ray.") for failure in failures):
        return LostError()
    unexplained: Exception = error
    return unexplained
