"""Which model is in service: promote, roll back. The command line and Airflow call these; they load no model."""

from pathlib import Path

from mlflow import MlflowClient

from snap2caption.errors import UserError
from snap2caption.registry.client import ADAPTER_DIGEST, ModelVersion, Registry
from snap2caption.registry.signatures import sign
from snap2caption.registry.verdict import GateVerdict
from snap2caption.settings import Settings
from training.evaluation.candidates import EvaluatedModel, find_trained
from training.tracking.runs import VERDICT, connect, explained, read_artifact

_KEPT = (
    "base",
    "base_revision",
    "dataset_version",
    "dataset_uri",
    "feedback_version",
    "feedback_uri",
    "prompts",
    ADAPTER_DIGEST,
)
"""The tags of a run that its registered version has as well."""


def promote(reference: str, settings: Settings, *, force: bool = False) -> ModelVersion:
    """Make a model the champion, registering it if need be. Doing it twice changes nothing.

    Args:
        reference: a run id, an alias (``challenger``) or a version.
        settings: where MLflow is.
        force: whatever the gate said.

    Raises:
        UserError: the gate has not admitted the model, or compared it with a champion that has been replaced since; *force* overrides. Or
            the model is lost or damaged, or another promotion came first.
    """
    client, registry = connect(settings.mlflow_tracking_uri), open_registry(settings)
    with explained(settings.mlflow_tracking_uri):
        candidate = find_trained(reference, client, registry)
        standing = registry.standing()
        if not force and (standing.champion is None or standing.champion.run_id != candidate.run_id):
            _check_verdict(client, candidate, standing.champion)
        # Days may have passed since the gate: what goes into service must still be what it saw.
        with candidate.downloaded() as adapter:
            version = register(candidate, client, registry)
            _sign(adapter, version, registry, settings)
        registry.promote(version, standing)
    return version


def rollback(settings: Settings, request: str = "") -> ModelVersion:
    """Make the previous champion the champion again, and return it; once only under the same *request*, if that is given."""
    connect(settings.mlflow_tracking_uri)
    return open_registry(settings).rollback(request)


def open_registry(settings: Settings) -> Registry:
    """Return the registry of this installation."""
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def register(model: EvaluatedModel, client: MlflowClient, registry: Registry) -> ModelVersion:
    """Register *model* with what it was trained on; the version that its run has already, if there is one."""
    assert model.run_id is not None  # noqa: S101 - it was trained
    assert model.adapter is not None  # noqa: S101
    tags = client.get_run(model.run_id).data.tags
    kept = {name: tags[name] for name in _KEPT if name in tags}
    return registry.register(model.run_id, model.adapter.uri, kept)


def admit(model: EvaluatedModel, client: MlflowClient, registry: Registry, settings: Settings) -> ModelVersion:
    """Register *model*, which the gate has admitted, and sign it if there is a key: it may be served as the challenger."""
    version = register(model, client, registry)
    if settings.signing_key_file is not None:
        with model.downloaded() as adapter:
            _sign(adapter, version, registry, settings)
    return version


def _sign(adapter: Path | None, version: ModelVersion, registry: Registry, settings: Settings) -> None:
    if settings.signing_key_file is not None and adapter is not None:
        registry.keep_signature(version, sign(adapter, registry.name, version, settings.signing_key_file))


def label(champion: ModelVersion | None) -> str:
    """Return what a verdict calls the model in service; the untouched base, if there is none."""
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
            f"The gate refused run {run_id}: {' '.join(verdict.refusals)} Give --force to promote it all the same."
        )
    if verdict.incumbent != label(champion):
        raise UserError(
            f"Run {run_id} was compared with {verdict.incumbent}, but the champion has changed since; run `snap2caption gate {run_id}` again."
        )
