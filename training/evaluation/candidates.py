"""Models to evaluate: an untouched base model, or a run's adapter on its base."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from snap2caption.errors import UserError
from snap2caption.registry.adapters import digest_of
from snap2caption.registry.client import ADAPTER_PATH, Registry, is_number
from snap2caption.registry.versions import ADAPTER_DIGEST
from snap2caption.vlm import VisionLanguageModel, find_revision, load
from training.tracking.runs import MODEL_URI

BASE = "base:"
"""Prefix of a base model's name."""


@dataclass(frozen=True, slots=True)
class TrainedAdapter:
    """An adapter trained by a run: its URI in MLflow, and the digest of its weights when they were logged."""

    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """A base model at a revision, with the adapter that a run trained on it, if any."""

    base: str
    revision: str
    run_id: str | None = None
    adapter: TrainedAdapter | None = None

    @property
    def name(self) -> str:
        """The model's name in an evaluation."""
        return f"run:{self.run_id}" if self.run_id else f"{BASE}{self.base}@{self.revision}"

    def load(self, models_dir: Path, dtype: str) -> VisionLanguageModel:
        """Load the model in the precision *dtype*; the adapter is downloaded from MLflow.

        Raises:
            UserError: base or adapter is missing, or the adapter changed after it was logged.
        """
        with self.downloaded() as adapter:
            return load(self.base, models_dir, adapter=adapter, revision=self.revision, dtype=dtype)

    @contextmanager
    def downloaded(self) -> Iterator[Path | None]:
        """Download the adapter, and yield its folder; None for a base model.

        Raises:
            UserError: the adapter is missing, or changed after it was logged.
        """
        if self.adapter is None:
            yield None
            return
        with tempfile.TemporaryDirectory() as scratch:
            try:
                folder = mlflow.artifacts.download_artifacts(self.adapter.uri, dst_path=scratch)
            except (MlflowException, OSError) as error:
                raise UserError(
                    f"The adapter of {self.name} can't be downloaded ({error}); check MLflow's log."
                ) from error
            adapter = Path(folder) / ADAPTER_PATH
            if not adapter.is_dir():
                raise UserError(f"The adapter of {self.name} is missing from MLflow; train it again with --force.")
            if digest_of(adapter) != self.adapter.digest:
                raise UserError(
                    f"The adapter of {self.name} is damaged in MLflow's store; train it again with --force."
                )
            yield adapter


def find_base(base: str, models_dir: Path, revision: str | None = None) -> EvaluatedModel:
    """Return the base model *base* without an adapter, in its current revision or at *revision*."""
    return EvaluatedModel(base, find_revision(base, models_dir, revision))


def find_trained(reference: str, client: MlflowClient, registry: Registry) -> EvaluatedModel:
    """Return the model of the run that *reference* names: a run id, an alias or a version number.

    Raises:
        UserError: there is none, or its run did not finish.
    """
    run_id = reference
    if is_number(reference) or not _is_run(client, reference):
        run_id = registry.resolve(reference).run_id
    tags = client.get_run(run_id).data.tags
    if not {MODEL_URI, ADAPTER_DIGEST} <= tags.keys():
        raise UserError(
            f"Run {run_id} has no complete model; run the same `train` command again to resume it, "
            "with --force if the run is finished."
        )
    return EvaluatedModel(
        tags["base"], tags["base_revision"], run_id, TrainedAdapter(tags[MODEL_URI], tags[ADAPTER_DIGEST])
    )


def _is_run(client: MlflowClient, reference: str) -> bool:
    try:
        client.get_run(reference)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return False
        raise
    return True
