"""Tracking backends: MLflow, and Weights & Biases if the recipe names a project."""

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from snap2caption.errors import UserError


class Tracker(Protocol):
    """A backend that stores a run. *artifact* is a file's path within the run."""

    def parameters(self, settings: dict[str, Any]) -> None:
        """Store nested settings under dotted names. Repeating it with the same values changes nothing."""

    def metrics(self, values: dict[str, float], step: int, model: str | None = None) -> None:
        """Store metrics at an optimizer step, of the logged model with the id *model* too, if it is given."""

    def text(self, content: str, artifact: str) -> None:
        """Store a text file."""

    def table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Store rows as a table, with one column per key."""

    def picture(self, png: bytes, artifact: str) -> None:
        """Store a PNG image."""


class MlflowTracker:
    """A run in MLflow."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id

    def parameters(self, settings: dict[str, Any]) -> None:
        """Log parameters."""
        parameters = [Param(name, str(value)) for name, value in flatten(settings)]
        self.client.log_batch(self.run_id, params=parameters)

    def metrics(self, values: dict[str, float], step: int, model: str | None = None) -> None:
        """Log metrics."""
        now = mlflow.utils.time.get_current_time_millis()
        metrics = [Metric(name, value, now, step, model, run_id=self.run_id) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics)

    def text(self, content: str, artifact: str) -> None:
        """Log a text artifact."""
        self.client.log_text(self.run_id, content, artifact)

    def table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Log a table in the format that MLflow's user interface displays.

        It is the format of `MlflowClient.log_table`, without its intermediate data frames, which cause warnings
        with current pandas.
        """
        table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        self.text(json.dumps(table, ensure_ascii=False), artifact)
        self.client.set_tag(self.run_id, "mlflow.loggedArtifacts", json.dumps([{"path": artifact, "type": "table"}]))

    def picture(self, png: bytes, artifact: str) -> None:
        """Log an image artifact."""
        folder, _, name = artifact.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / name
            file.write_bytes(png)
            self.client.log_artifact(self.run_id, str(file), folder)


class WandbTracker:
    """A run in a project of Weights & Biases, with the same id as the run in MLflow.

    Its destination is set by W&B's own variables: ``WANDB_API_KEY``, ``WANDB_BASE_URL``, ``WANDB_MODE=offline``.
    """

    def __init__(self, project: str, run_id: str, folder: Path) -> None:
        """Start or resume the run; its local files lie under *folder*.

        Raises:
            UserError: W&B is not installed, or rejects the run.
        """
        try:
            import wandb
        except ImportError as error:
            raise UserError(
                "tracking.wandb_project needs the package wandb; install snap2caption with its extra `wandb` "
                "(docs/installation.md), or set tracking.wandb_project=null."
            ) from error
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off", save_code=False, disable_git=True)
        try:
            self.run = wandb.init(project=project, id=run_id, resume="allow", dir=str(folder), settings=settings)
        except wandb.errors.Error as error:
            raise UserError(
                f"Weights & Biases rejected the run ({error}); set WANDB_API_KEY, or WANDB_MODE=offline to send it "
                "later with `wandb sync`, or tracking.wandb_project=null."
            ) from error
        # A step metric of our own, because W&B's steps must increase, and the test scores belong to no step.
        self.run.define_metric("*", step_metric="step")

    def parameters(self, settings: dict[str, Any]) -> None:
        """Set the run's configuration."""
        self.run.config.update(dict(flatten(settings)), allow_val_change=True)

    def metrics(self, values: dict[str, float], step: int, model: str | None = None) -> None:  # noqa: ARG002 - MLflow's
        """Log metrics."""
        self.run.log({**values, "step": step})

    def text(self, content: str, artifact: str) -> None:
        """Save a file of the run."""
        file = Path(self.run.dir) / artifact
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        self.run.save(str(file), base_path=self.run.dir, policy="now")

    def table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Log a table."""
        import wandb

        table = wandb.Table(columns=list(rows[0]), data=[list(row.values()) for row in rows])
        self.run.log({Path(artifact).with_suffix("").as_posix(): table})

    def picture(self, png: bytes, artifact: str) -> None:
        """Log an image."""
        import wandb
        from PIL import Image

        self.run.log({Path(artifact).with_suffix("").as_posix(): wandb.Image(Image.open(io.BytesIO(png)))})

    def finish(self, *, succeeded: bool) -> None:
        """End the run, and wait until everything is sent or on disk."""
        self.run.finish(exit_code=0 if succeeded else 1)


def flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested settings under dotted names."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
