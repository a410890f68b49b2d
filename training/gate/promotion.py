"""Promotion and rollback of the champion. The command line and Airflow call them; no model is loaded."""

from pathlib import Path

from mlflow import MlflowClient

from snap2caption.errors import UserError
from snap2caption.registry.client import Registry
from snap2caption.registry.lineage import INHERITED
from snap2caption.registry.signatures import sign
from snap2caption.registry.verdict import GateVerdict
from snap2caption.registry.versions import ADAPTER_DIGEST, ModelVersion
from snap2caption.settings import Settings
from training.evaluation.candidates import EvaluatedModel, find_trained
from training.tracking.runs import (
    INITIAL_ADAPTER,
    INITIAL_RUN,
    VERDICT,
    connect,
    explain_mlflow_errors,
    read_artifact,
)

_KEPT = (
    "base",
    "base_revision",
    "dataset_version",
    "dataset_uri",
    "feedback_version",
    "feedback_uri",
    "prompts",
    ADAPTER_DIGEST,
    INITIAL_RUN,
    INITIAL_ADAPTER,
    INHERITED,
)
"""Tags of a run that are copied to its registered model version."""


def promote(reference: str, settings: Settings, *, force: bool = False) -> ModelVersion:
    """Make a model the champion, and register it if necessary. Repeating it changes nothing.

    Args:
        reference: a run id, an alias (``challenger``) or a version.
        settings: the settings with MLflow's address.
        force: promote regardless of the gate's verdict.

    Raises:
        UserError: the gate has not admitted the model, or compared it with a champion that has been replaced since
            (*force* overrides both); or the model is missing or damaged, or another promotion came first.
    """
    client, registry = connect(settings.mlflow_tracking_uri), open_registry(settings)
    with explain_mlflow_errors(settings.mlflow_tracking_uri):
        candidate = find_trained(reference, client, registry)
        standing = registry.standing()
        if not force and (standing.champion is None or standing.champion.run_id != candidate.run_id):
            _check_verdict(client, candidate, standing.champion)
        # Days may have passed since the gate, so check that the adapter is still the one that it evaluated.
        with candidate.downloaded() as adapter:
            version = register(candidate, client, registry)
            _sign(adapter, version, registry, settings)
        registry.promote(version, standing)
    return version


def rollback(settings: Settings, request: str = "") -> ModelVersion:
    """Make the previous champion the champion again, and return it.

    Repeated calls with the same *request*, if it is given, roll back only once.
    """
    connect(settings.mlflow_tracking_uri)
    return open_registry(settings).rollback(request)


def open_registry(settings: Settings) -> Registry:
    """Return this installation's model registry."""
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def register(model: EvaluatedModel, client: MlflowClient, registry: Registry) -> ModelVersion:
    """Register *model* with the tags of its run; if its run has a registered version already, return that."""
    assert model.run_id is not None  # noqa: S101 - it was trained
    assert model.adapter is not None  # noqa: S101
    tags = client.get_run(model.run_id).data.tags
    kept = {name: tags[name] for name in _KEPT if name in tags}
    return registry.register(model.run_id, model.adapter.uri, kept)


def admit(model: EvaluatedModel, client: MlflowClient, registry: Registry, settings: Settings) -> ModelVersion:
    """Register *model*, which the gate has admitted, and sign it if there is a signing key.

    It may then be served as the challenger.
    """
    version = register(model, client, registry)
    if settings.signing_key_file is not None:
        with model.downloaded() as adapter:
            _sign(adapter, version, registry, settings)
    return version


def _sign(adapter: Path | None, version: ModelVersion, registry: Registry, settings: Settings) -> None:
    if settings.signing_key_file is not None and adapter is not None:
        registry.keep_signature(version, sign(adapter, registry.name, version, settings.signing_key_file))


def label(champion: ModelVersion | None) -> str:
    """Return a verdict's name for the incumbent: the champion, or the base model if there is none."""
    return f"champion v{champion.version}" if champion else "base"


def _check_verdict(client: MlflowClient, candidate: EvaluatedModel, champion: ModelVersion | None) -> None:
    run_id = candidate.run_id
    assert run_id is not None  # noqa: S101 - it was trained
    stored = read_artifact(client, run_id, VERDICT)
    if stored is None:
        raise UserError(f"Run {run_id} has not been through the gate; run `snap2caption gate {run_id}` first.")
    verdict = GateVerdict.parse(stored, run_id)
    if not verdict.admitted:
        raise UserError(
            f"The gate refused run {run_id}: {' '.join(verdict.refusals)} Use --force to promote it anyway."
        )
    if verdict.incumbent != label(champion):
        raise UserError(
            f"Run {run_id} was compared with {verdict.incumbent}, but the champion has changed since; "
            f"run `snap2caption gate {run_id}` again."
        )
