"""From an evaluated model to the one in service: gate, promote, roll back. The command line and Airflow call these."""

from pathlib import Path

import yaml
from mlflow import MlflowClient

from snap2caption.errors import UserError
from snap2caption.registry import CHAMPION, ModelVersion, Registry
from snap2caption.settings import Settings
from snap2caption.verdict import Rule, Verdict
from training.data import CachedDataset
from training.evaluate import Conditions, Evaluation, conditions_of, evaluate
from training.finetune import make_deterministic
from training.gate import judge
from training.models import BASE, Model, find_base, find_trained
from training.pipeline import open_dataset
from training.recipe import EvaluationSettings, Recipe, parse_recipe
from training.report import REPORT, Incumbent, render_report, save_report
from training.tracking import (
    CANDIDATE,
    INCUMBENT,
    MODEL_URI,
    RECIPE,
    VERDICT,
    RunLog,
    connect,
    explained,
    read_artifact,
)


def gate_run(run_id: str, settings: Settings) -> Verdict:
    """Compare the run's model with the champion (or the untouched base, if there is none), and store the verdict with the run.

    An evaluation made before counts only if it was made on the same dataset version under the same conditions; otherwise it is made
    anew, here, by the same code.

    Raises:
        UserError: there is no such run, or it holds no model.
    """
    client, registry = connect(settings.mlflow_tracking_uri), open_registry(settings)
    with explained(settings.mlflow_tracking_uri):
        candidate = find_trained(run_id, client, registry)
        champion = registry.by_alias(CHAMPION)
        if champion is not None and champion.run_id == candidate.run_id:
            dataset_version = client.get_run(run_id).data.tags["dataset_version"]
            verdict = _champion_already(champion, dataset_version)
        else:
            verdict = _compare(candidate, champion, client, registry, settings)
        log = RunLog(client, verdict.run_id)
        log.text(verdict.model_dump_json(indent=1), VERDICT)
        log.tags({"gate.admitted": str(verdict.admitted).lower(), "gate.incumbent": verdict.incumbent})
    return verdict


def promote(run_id: str, settings: Settings, *, force: bool = False) -> ModelVersion:
    """Register the run's model and make it the champion. Doing it twice changes nothing.

    Raises:
        UserError: the gate has not admitted the run, or compared it with a champion that has been replaced since; *force* overrides.
    """
    client, registry = connect(settings.mlflow_tracking_uri), open_registry(settings)
    with explained(settings.mlflow_tracking_uri):
        find_trained(run_id, client, registry)
        champion = registry.by_alias(CHAMPION)
        if not force and (champion is None or champion.run_id != run_id):
            _check_verdict(client, run_id, champion)
        tags = client.get_run(run_id).data.tags
        kept = {name: tags[name] for name in ("base", "base_revision", "dataset_version", "dataset_uri")}
        version = registry.register(run_id, tags[MODEL_URI], kept)
        registry.promote(version)
    return version


def rollback(settings: Settings) -> ModelVersion:
    """Make the previous champion the champion again, and return it."""
    connect(settings.mlflow_tracking_uri)
    return open_registry(settings).rollback()


def evaluate_model(
    reference: str, dataset_uri: str, wanted: EvaluationSettings, settings: Settings, *, report: Path | None = None
) -> Evaluation:
    """Evaluate the model that a run id, an alias, a version or ``base:<name>`` names, on a split of a dataset version.

    With *report*, a page with its scores and samples of what it wrote is written there.
    """
    if report is not None and not report.parent.is_dir():
        raise UserError(f"There is no folder {report.parent} for the report; make it, or name another file.")
    if reference.startswith(BASE):
        model = find_base(reference.removeprefix(BASE), settings.models_dir)
    else:
        client = connect(settings.mlflow_tracking_uri)
        with explained(settings.mlflow_tracking_uri):
            model = find_trained(reference, client, open_registry(settings))
    dataset = open_dataset(dataset_uri, settings)
    evaluation = evaluate(model.load(settings.models_dir), dataset, conditions_of(dataset, (), wanted), model.name)
    if report is not None:
        save_report(report, render_report(evaluation, dataset.samples(wanted.split)))
    return evaluation


def open_registry(settings: Settings) -> Registry:
    """Return the registry of this installation."""
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def _compare(
    candidate: Model, champion: ModelVersion | None, client: MlflowClient, registry: Registry, settings: Settings
) -> Verdict:
    assert candidate.run_id is not None  # noqa: S101 - it was trained
    recipe = _recipe(client, candidate.run_id)
    make_deterministic(recipe.optimiser)
    dataset = open_dataset(client.get_run(candidate.run_id).data.tags["dataset_uri"], settings)
    incumbent = (
        find_trained(champion.run_id, client, registry) if champion else find_base(candidate.base, settings.models_dir)
    )
    evaluator = _Evaluator(client, recipe, dataset, settings)
    mine = evaluator.of(candidate, [(candidate.run_id, CANDIDATE)])
    # The incumbent may have been evaluated as a candidate itself, or by an earlier try of this gate.
    earlier = [(candidate.run_id, INCUMBENT)] + ([(incumbent.run_id, CANDIDATE)] if incumbent.run_id else [])
    theirs = evaluator.of(incumbent, earlier)
    log = RunLog(client, candidate.run_id)
    log.text(theirs.model_dump_json(indent=1), INCUMBENT)
    samples = dataset.samples(recipe.evaluation.split, recipe.data.cities)
    log.text(render_report(mine, samples, Incumbent(_label(champion), theirs)), REPORT)
    return judge(mine, theirs, recipe.gate, run_id=candidate.run_id, incumbent_name=_label(champion))


class _Evaluator:
    """Evaluates models under one run's conditions, or finds that it was done."""

    def __init__(self, client: MlflowClient, recipe: Recipe, dataset: CachedDataset, settings: Settings) -> None:
        self.client = client
        self.dataset = dataset
        self.models_dir = settings.models_dir
        self.dtype = recipe.optimiser.precision
        self.conditions: Conditions = conditions_of(dataset, recipe.data.cities, recipe.evaluation)

    def of(self, model: Model, earlier: list[tuple[str, str]]) -> Evaluation:
        """Return *model*'s evaluation: one of *earlier* (run, artifact) if it holds, else a new one."""
        for run_id, artifact in earlier:
            stored = read_artifact(self.client, run_id, artifact)
            evaluation = Evaluation.read(stored) if stored else None
            if evaluation and evaluation.model == model.name and evaluation.conditions == self.conditions:
                return evaluation
        return evaluate(model.load(self.models_dir, self.dtype), self.dataset, self.conditions, model.name)


def _recipe(client: MlflowClient, run_id: str) -> Recipe:
    stored = read_artifact(client, run_id, RECIPE)
    if stored is None:
        raise UserError(f"Run {run_id} holds no recipe; train again with --force.")
    return parse_recipe(yaml.safe_load(stored), f"the recipe of run {run_id}")


def _label(champion: ModelVersion | None) -> str:
    return f"champion v{champion.version}" if champion else "base"


def _champion_already(champion: ModelVersion, dataset_version: str) -> Verdict:
    reason = f"The model is the champion already (version {champion.version})."
    rule = Rule(name="champion", passed=True, candidate=None, incumbent=None, reason=reason)
    return Verdict(run_id=champion.run_id, dataset_version=dataset_version, incumbent=_label(champion), rules=(rule,))


def _check_verdict(client: MlflowClient, run_id: str, champion: ModelVersion | None) -> None:
    stored = read_artifact(client, run_id, VERDICT)
    if stored is None:
        raise UserError(f"Run {run_id} has not been through the gate; run `snap2caption gate {run_id}` first.")
    verdict = Verdict.model_validate_json(stored)
    if not verdict.admitted:
        raise UserError(
            f"The gate refused run {run_id}: {' '.join(verdict.refusals)} Give --force to promote it all the same."
        )
    if verdict.incumbent != _label(champion):
        raise UserError(
            f"Run {run_id} was compared with {verdict.incumbent}, but the champion has changed since; run `snap2caption gate {run_id}` again."
        )
