"""Run log: a run's data in MLflow, and in other trackers that the recipe names."""

import itertools
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx
import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, RunStatus
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_RUN_NOTE

from snap2caption.datasets.manifest import Manifest, Split
from snap2caption.errors import UserError
from snap2caption.formats import strict_yaml
from snap2caption.redaction import redact_url
from snap2caption.registry.adapters import digest_of
from snap2caption.registry.client import VERDICT as VERDICT  # exported with the artifact names below
from snap2caption.registry.versions import ADAPTER_DIGEST
from training.recipes.loading import parse_recipe
from training.recipes.recipe import Recipe
from training.recipes.renamed import with_present_names
from training.recipes.sections import TrackingSettings
from training.tracking.backends import MlflowTracker, Tracker, WandbTracker
from training.tracking.pyfunc import signature

FINGERPRINT = "fingerprint"
FORCED = "forced"
"""Tag of a run that repeats a finished training."""
PRECISION = "precision"
"""Tag of a run whose recipe said ``auto``, with that value; the parameter has what it was resolved to."""
INITIAL_RUN = "initial_run_id"
INITIAL_ADAPTER = "initial_adapter_sha256"
"""Tags of a run that began with the adapter of another one: that run, and the digest of its adapter."""
MODEL_URI = "model_uri"
"""Tag of a run: URI of its logged model (``models:/m-…``)."""

CANDIDATE = "evaluation/candidate.json"
INCUMBENT = "evaluation/incumbent.json"
FEEDBACK_CANDIDATE = "evaluation/feedback-candidate.json"
FEEDBACK_INCUMBENT = "evaluation/feedback-incumbent.json"
LATENCY = "evaluation/latency.json"
MANIFEST = "manifest.json"
FEEDBACK_MANIFEST = "feedback-manifest.json"
RECIPE = "recipe.yaml"
"""Names of a run's artifacts."""

PYFUNC = resources.files(__package__).joinpath("pyfunc.py")


def connect(tracking_uri: str) -> MlflowClient:
    """Return a client of the MLflow server at *tracking_uri*.

    Raises:
        UserError: no server answers at that address.
    """
    try:
        httpx.get(f"{tracking_uri}/health", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise UserError(
            f"MLflow at {tracking_uri} does not answer ({error}); start it, or set SNAP2CAPTION_MLFLOW_TRACKING_URI."
        ) from error
    # Standard output is for results, and a progress bar does not belong in a log file.
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    return MlflowClient(tracking_uri, tracking_uri)


@contextmanager
def explain_mlflow_errors(tracking_uri: str) -> Iterator[None]:
    """Turn MLflow's exceptions into one sentence.

    Raises:
        UserError: MLflow raised an exception.
    """
    try:
        yield
    except MlflowException as error:
        raise UserError(
            f"MLflow at {tracking_uri} refused the request or did not answer ({error.message}); "
            "check its log, then try again."
        ) from error


def find_run(client: MlflowClient, experiment: str, fingerprint: str, *, forced: bool = False) -> Any | None:
    """Return the run with *fingerprint* that a training resumes or returns, or None.

    It is a finished run if there is one, else the newest. If the training is *forced*, it is the newest forced run
    that was started after all finished ones: that one was interrupted, and a forced training does not accept a
    finished one.
    """
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return None
    # MLflow returns the newest first.
    runs = client.search_runs([found.experiment_id], f"tags.{FINGERPRINT} = '{fingerprint}'")
    if forced:
        cut_off = itertools.takewhile(lambda run: not is_finished(run), runs)
        return next((run for run in cut_off if FORCED in run.data.tags), None)
    return next((run for run in runs if is_finished(run)), runs[0] if runs else None)


def is_finished(run: Any) -> bool:
    """Return whether the run ended successfully, with everything logged."""
    return bool(run.info.status == RunStatus.to_string(RunStatus.FINISHED))


class RunLog:
    """Writer of one run, which sends everything to each of its trackers."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.run_id = run_id
        self._trackers: list[Tracker] = [MlflowTracker(client, run_id)]

    @classmethod
    def start(cls, client: MlflowClient, experiment: str, tags: dict[str, str]) -> "RunLog":
        """Start a run with *tags* in *experiment*, which is created if it does not exist."""
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
        return cls(client, client.create_run(experiment_id, tags=tags).info.run_id)

    def parameters(self, settings: dict[str, Any]) -> None:
        """Log nested settings under dotted names. Repeating it with the same values changes nothing."""
        for tracker in self._trackers:
            tracker.parameters(settings)

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Log metrics at an optimizer step."""
        for tracker in self._trackers:
            tracker.metrics(values, step)

    def text(self, content: str, artifact: str) -> None:
        """Log a text file."""
        for tracker in self._trackers:
            tracker.text(content, artifact)

    def table(self, rows: list[dict[str, Any]], artifact: str) -> None:
        """Log rows as a table, with one column per key."""
        for tracker in self._trackers:
            tracker.table(rows, artifact)

    def picture(self, png: bytes, artifact: str) -> None:
        """Log a PNG image."""
        for tracker in self._trackers:
            tracker.picture(png, artifact)

    def tags(self, values: dict[str, str]) -> None:
        """Set tags."""
        for name, value in values.items():
            self.client.set_tag(self.run_id, name, value)

    def dataset(self, manifest: Manifest, uri: str, *, test: Split) -> None:
        """Log a dataset version as the run's input: its manifest, and the use of each split.

        *test* is the split that is evaluated.
        """
        self.text(manifest.dump().decode(), MANIFEST)
        scheme = urlsplit(uri).scheme
        contexts: dict[Split, str] = {"train": "training", "validation": "validation", test: "test"}
        inputs = []
        for split, context in contexts.items():
            summary = manifest.splits[split]
            # A separate name for each split: MLflow treats inputs with the same name and digest as the same.
            dataset = Dataset(
                name=f"snap2caption-{split}",
                digest=manifest.version,
                source_type="local" if scheme == "file" else scheme,
                source=json.dumps({"uri": uri}),
                profile=json.dumps({"samples": summary.samples, **summary.cities}),
            )
            inputs.append(DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, context)]))
        self.client.log_inputs(self.run_id, inputs)

    def describe(self, text: str) -> None:
        """Show *text* (Markdown) on the run's page in MLflow."""
        self.tags({MLFLOW_RUN_NOTE: text})

    def model(
        self, adapter: Path, base: str, revision: str, scores: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        """Log the adapter as a model for ``mlflow.pyfunc``, and *scores* as metrics of it and of the run.

        The base is referenced by name, not stored.
        """
        with mlflow.start_run(run_id=self.run_id), warnings.catch_warnings():
            # An input example would make MLflow load the base and caption it.
            warnings.filterwarnings("ignore", message=".*input example", category=UserWarning)
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(PYFUNC),
                artifacts={"adapter": str(adapter)},
                model_config={"base": base, "base_revision": revision},
                signature=signature(),
                # Given explicitly, because inferring them would load the model in another process.
                pip_requirements=["snap2caption[training]"],
            )
            # After the model: MLflow asks the server for each metric that the run has by then, to copy it to the model.
            for tracker in self._trackers if scores else ():
                tracker.metrics(dict(scores), 0, logged.model_id)
            # Inside the block, whose end marks the run as finished. The tags are last, because a model without them
            # counts as incomplete.
            self.tags({ADAPTER_DIGEST: digest_of(adapter), MODEL_URI: logged.model_uri})

    def resume(self) -> None:
        """Mark the run as running."""
        self.client.update_run(self.run_id, status=RunStatus.to_string(RunStatus.RUNNING))

    @contextmanager
    def recording(self, settings: TrackingSettings, state_dir: Path) -> Iterator[None]:
        """Record the run in every tracker that *settings* name while the block runs.

        System metrics are recorded too, if they are on. The run ends as ``FINISHED`` if the block succeeds, else as
        ``FAILED``. Local files of trackers lie under *state_dir*.
        """
        with self._ending(), ExitStack() as stack:
            if settings.wandb_project is not None:
                stack.enter_context(self._logging_to_wandb(settings.wandb_project, state_dir))
            if settings.log_system_metrics:
                stack.enter_context(self._logging_system_metrics())
            yield

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.client.set_terminated(self.run_id, RunStatus.to_string(RunStatus.FAILED))
            raise
        self.client.set_terminated(self.run_id, RunStatus.to_string(RunStatus.FINISHED))

    @contextmanager
    def _logging_to_wandb(self, project: str, state_dir: Path) -> Iterator[None]:
        tracker = WandbTracker(project, self.run_id, state_dir)
        self._trackers.append(tracker)
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            self._trackers.remove(tracker)
            tracker.finish(succeeded=succeeded)

    @contextmanager
    def _logging_system_metrics(self) -> Iterator[None]:
        """Log the use of CPUs, memory, disk, network and GPUs as ``system/…`` every ten seconds, in a thread."""
        monitor = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self.client.tracking_uri)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()


def artifact_page(client: MlflowClient, run_id: str, artifact: str) -> str:
    """Return the URL of a run's artifact in MLflow's user interface."""
    experiment = client.get_run(run_id).info.experiment_id
    # Redacted, because commands print it and Airflow stores it.
    return f"{redact_url(client.tracking_uri)}/#/experiments/{experiment}/runs/{run_id}/artifacts/{artifact}"


def read_artifact(client: MlflowClient, run_id: str, artifact: str) -> bytes | None:
    """Return the content of a run's artifact, or None if the run has no such artifact."""
    folder, _, _ = artifact.rpartition("/")
    if all(found.path != artifact for found in client.list_artifacts(run_id, folder or None)):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return Path(client.download_artifacts(run_id, artifact, scratch)).read_bytes()


def read_recipe(client: MlflowClient, run_id: str) -> Recipe:
    """Return the recipe that a run was trained with.

    Raises:
        UserError: the run has no recipe, or one that is no longer valid.
    """
    stored = read_artifact(client, run_id, RECIPE)
    if stored is None:
        raise UserError(f"Run {run_id} has no recipe; train it again with --force.")
    # An older run may have stored settings under former names.
    content = with_present_names(strict_yaml.load(stored.decode()))
    return parse_recipe(content, f"the recipe of run {run_id}")
