"""What is kept of a run in MLflow."""

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException

from snap2caption.errors import UserError
from training.pyfunc import signature

FINGERPRINT = "fingerprint"
MODEL_URI = "model_uri"
"""Tags of a run: what it is a run of, and where its logged model is (``models:/m-…``)."""

CANDIDATE = "evaluation/candidate.json"
INCUMBENT = "evaluation/incumbent.json"
RECIPE = "recipe.yaml"
VERDICT = "verdict.json"
"""Names of a run's artifacts."""

PYFUNC = Path(__file__).with_name("pyfunc.py")


def connect(tracking_uri: str) -> MlflowClient:
    """Return a client of the MLflow server at *tracking_uri*.

    Raises:
        UserError: no server answers there.
    """
    try:
        httpx.get(f"{tracking_uri}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise UserError(
            f"MLflow at {tracking_uri} does not answer ({error}); start it, or set SNAP2CAPTION_MLFLOW_TRACKING_URI."
        ) from error
    # Standard output is for results, and a log file is no place for a progress bar.
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    return MlflowClient(tracking_uri, tracking_uri)


@contextmanager
def explained(tracking_uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one sentence."""
    try:
        yield
    except MlflowException as error:
        raise UserError(
            f"MLflow at {tracking_uri} refused or did not answer ({error.message}); see its log, then do the same again."
        ) from error


def find_run(client: MlflowClient, experiment: str, fingerprint: str) -> Any | None:
    """Return the run with *fingerprint*, a finished one if there is one, or None."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    runs = client.search_runs([found.experiment_id], f"tags.{FINGERPRINT} = '{fingerprint}'")
    return next((run for run in runs if is_finished(run)), runs[0] if runs else None)


def is_finished(run: Any) -> bool:
    """Whether the run ended well, with everything logged."""
    return bool(run.info.status == RunStatus.to_string(RunStatus.FINISHED))


class RunLog:
    """One run, being written."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id

    @classmethod
    def start(cls, client: MlflowClient, experiment: str, tags: dict[str, str]) -> "RunLog":
        """Start a run with *tags* in *experiment*, which is made if it does not exist."""
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
        return cls(client, client.create_run(experiment_id, tags=tags).info.run_id)

    def parameters(self, settings: dict[str, Any]) -> None:
        """Log nested settings under dotted names. Doing it again with the same values changes nothing."""
        parameters = [Param(name, str(value)) for name, value in _flatten(settings)]
        self.client.log_batch(self.run_id, params=parameters)

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Log metrics."""
        now = mlflow.utils.time.get_current_time_millis()
        self.client.log_batch(self.run_id, [Metric(name, value, now, step) for name, value in values.items()])

    def text(self, content: str, artifact: str) -> None:
        """Log a text file."""
        self.client.log_text(self.run_id, content, artifact)

    def table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Log a table, a column a key, where MLflow's own page shows tables.

        In `MlflowClient.log_table`'s format, but without the data frames on its way: they warn with current pandas.
        """
        table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        self.text(json.dumps(table, ensure_ascii=False), artifact)
        self.tags({"mlflow.loggedArtifacts": json.dumps([{"path": artifact, "type": "table"}])})

    def picture(self, png: bytes, artifact: str) -> None:
        """Log a picture."""
        folder, _, name = artifact.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / name
            file.write_bytes(png)
            self.client.log_artifact(self.run_id, str(file), folder)

    def tags(self, values: dict[str, str]) -> None:
        """Set tags."""
        for name, value in values.items():
            self.client.set_tag(self.run_id, name, value)

    def model(self, adapter: Path, base: str, revision: str) -> None:
        """Log the adapter as a model that ``mlflow.pyfunc`` loads; the base is named, not stored."""
        with mlflow.start_run(run_id=self.run_id), warnings.catch_warnings():
            # An example would make MLflow load the base and caption it.
            warnings.filterwarnings("ignore", message=".*input example", category=UserWarning)
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(PYFUNC),
                artifacts={"adapter": str(adapter)},
                model_config={"base": base, "base_revision": revision},
                signature=signature(),
                # Named, because finding them out would load the model in another process.
                pip_requirements=["snap2caption[training]"],
            )
        self.tags({MODEL_URI: logged.model_uri})

    def resume(self) -> None:
        """Mark the run as running."""
        self.client.update_run(self.run_id, status=RunStatus.to_string(RunStatus.RUNNING))

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Mark the run as ended: ``FINISHED`` if the block ends well, else ``FAILED``."""
        try:
            yield
        except BaseException:
            self.client.set_terminated(self.run_id, RunStatus.to_string(RunStatus.FAILED))
            raise
        self.client.set_terminated(self.run_id, RunStatus.to_string(RunStatus.FINISHED))


def artifact_page(client: MlflowClient, run_id: str, artifact: str) -> str:
    """Return where MLflow's own pages show a run's artifact."""
    experiment = client.get_run(run_id).info.experiment_id
    return f"{client.tracking_uri}/#/experiments/{experiment}/runs/{run_id}/artifacts/{artifact}"


def read_artifact(client: MlflowClient, run_id: str, artifact: str) -> bytes | None:
    """Return the content of a run's artifact, or None if the run has none of that name."""
    folder, _, _ = artifact.rpartition("/")
    if all(found.path != artifact for found in client.list_artifacts(run_id, folder or None)):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return Path(client.download_artifacts(run_id, artifact, scratch)).read_bytes()


def _flatten(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
