"""Evaluation of models, and comparison at the gate. The command line and Airflow call these functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlflow import MlflowClient

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.registry.client import Registry
from snap2caption.registry.verdict import GateVerdict, RuleResult
from snap2caption.registry.versions import ModelVersion
from snap2caption.settings import Settings
from training.data.samples import CachedDataset
from training.evaluation.candidates import BASE, EvaluatedModel, find_base, find_trained
from training.evaluation.evaluate import Evaluation, EvaluationConditions, conditions_of, evaluate
from training.evaluation.report import REPORT, Incumbent, render_report, save_report
from training.fit.finetune import make_deterministic
from training.gate.latency import LatencyComparison, compare_latency
from training.gate.promotion import admit, label, open_registry
from training.gate.rules import EvaluationPair, judge
from training.gate.side_by_side import load_both
from training.pipeline import open_dataset
from training.recipes.loading import change_judging
from training.recipes.recipe import EvaluationRecipe, Recipe
from training.recipes.sections import EvaluationSettings, Precision
from training.tracking.runs import (
    CANDIDATE,
    FEEDBACK_CANDIDATE,
    FEEDBACK_INCUMBENT,
    INCUMBENT,
    LATENCY,
    VERDICT,
    RunLog,
    connect,
    explain_mlflow_errors,
    read_artifact,
    read_recipe,
)


def gate_run(reference: str, settings: Settings, overrides: Sequence[str] = ()) -> GateVerdict:
    """Compare a model with the champion, or with the base model if there is none, and store the verdict with its run.

    A stored evaluation is reused only if it was made on the same dataset version under the same conditions;
    otherwise the model is evaluated again here, by the same code. An admitted model is registered and becomes the
    challenger.

    Args:
        reference: a run id, an alias or a version.
        settings: the settings with MLflow's address.
        overrides: settings of gate and evaluation that override those in the run's recipe (`change_judging`).

    Raises:
        UserError: there is no such model, or it or the champion is missing or damaged; or an override is invalid.
    """
    client, registry = connect(settings.mlflow_tracking_uri), open_registry(settings)
    with explain_mlflow_errors(settings.mlflow_tracking_uri):
        candidate = find_trained(reference, client, registry)
        champion = registry.standing().champion
        if champion is not None and champion.run_id == candidate.run_id:
            # There is nothing to compare, and the verdict that admitted it must not be overwritten.
            return _champion_already(champion, client.get_run(champion.run_id).data.tags["dataset_version"])
        verdict = _compare(candidate, champion, client, registry, settings, overrides)
        _store(verdict, client)
        if verdict.admitted:
            registry.challenge(admit(candidate, client, registry, settings))
        else:
            registry.withdraw(verdict.run_id)
    return verdict


def evaluate_model(
    reference: str,
    dataset_uri: str,
    wanted: EvaluationSettings,
    settings: Settings,
    *,
    precision: Precision | None = None,
    report: Path | None = None,
) -> Evaluation:
    """Evaluate a model on a split of a dataset version.

    *reference* is a run id, an alias, a version or ``base:<name>``. The model is loaded in *precision*, by default
    that of its recipe; a base model has no recipe and is loaded in float32. With *report*, an HTML page with scores
    and sample captions is written there.
    """
    if report is not None and not report.parent.is_dir():
        raise UserError(f"There is no folder {report.parent} for the report; create it, or give another path.")
    if reference.startswith(BASE):
        model = find_base(reference.removeprefix(BASE), settings.models_dir)
        precision = precision or "float32"
    else:
        client = connect(settings.mlflow_tracking_uri)
        with explain_mlflow_errors(settings.mlflow_tracking_uri):
            model = find_trained(reference, client, open_registry(settings))
            precision = precision or _recipe(client, model).training.dtype
    dataset = open_dataset(dataset_uri, settings)
    conditions = conditions_of(dataset, (), wanted, precision)
    evaluation = evaluate(model.load(settings.models_dir, precision), dataset, conditions, model.name)
    if report is not None:
        save_report(report, render_report(evaluation, dataset.samples(wanted.split)))
    return evaluation


def _compare(
    candidate: EvaluatedModel,
    champion: ModelVersion | None,
    client: MlflowClient,
    registry: Registry,
    settings: Settings,
    overrides: Sequence[str],
) -> GateVerdict:
    assert candidate.run_id is not None  # noqa: S101 - it was trained
    recipe = _recipe(client, candidate)
    judging = change_judging(EvaluationRecipe(evaluation=recipe.evaluation, gate=recipe.gate), overrides)
    recipe = recipe.model_copy(update=dict(judging))
    make_deterministic(recipe.training)
    dataset = open_dataset(client.get_run(candidate.run_id).data.tags["dataset_uri"], settings)
    incumbent = (
        find_trained(champion.run_id, client, registry)
        if champion
        else find_base(candidate.base, settings.models_dir, candidate.revision)
    )
    # Both models run in the precision that the candidate was trained in.
    conditions = conditions_of(dataset, recipe.data.cities, recipe.evaluation, recipe.training.dtype)
    evaluator = _Evaluator(client, settings, dataset, conditions)
    mine = evaluator.of(candidate, [(candidate.run_id, CANDIDATE)])
    # The incumbent may have been evaluated as a candidate itself, or by an earlier attempt at this gate.
    earlier = [(candidate.run_id, INCUMBENT)] + ([(incumbent.run_id, CANDIDATE)] if incumbent.run_id else [])
    theirs = evaluator.of(incumbent, earlier)
    log = RunLog(client, candidate.run_id)
    log.text(theirs.model_dump_json(indent=1), INCUMBENT)
    on_feedback = _compare_on_feedback(candidate, incumbent, recipe, evaluator, log)
    samples = dataset.samples(recipe.evaluation.split, recipe.data.cities)
    against = Incumbent(label(champion), theirs)
    latency = evaluator.time(candidate, incumbent, recipe.gate.latency_photos)
    log.text(latency.model_dump_json(indent=1), LATENCY)
    verdict = judge(
        EvaluationPair(mine, theirs),
        latency,
        recipe.gate,
        run_id=candidate.run_id,
        incumbent_name=against.name,
        on_feedback=on_feedback,
    )
    log.text(render_report(mine, samples, against, verdict.reported), REPORT)
    rules = (*verdict.rules, *_history(candidate.run_id, registry))
    return verdict.model_copy(update={"rules": rules, "overrides": tuple(overrides)})


def _compare_on_feedback(
    candidate: EvaluatedModel, incumbent: EvaluatedModel, recipe: Recipe, evaluator: "_Evaluator", log: RunLog
) -> EvaluationPair | None:
    """Compare both models on the held-out test split of the feedback that the candidate was trained on.

    Return None if it was not trained on feedback, or if nothing is held out.
    """
    if recipe.data.feedback is None:
        return None
    uri = log.client.get_run(log.run_id).data.tags["feedback_uri"]
    held_out = evaluator.on(open_dataset(uri, evaluator.settings))
    if not held_out.dataset.manifest.splits["test"].samples:
        return None
    mine = held_out.of(candidate, [(log.run_id, FEEDBACK_CANDIDATE)])
    theirs = held_out.of(incumbent, [(log.run_id, FEEDBACK_INCUMBENT)])
    log.text(mine.without_words().model_dump_json(indent=1), FEEDBACK_CANDIDATE)
    log.text(theirs.without_words().model_dump_json(indent=1), FEEDBACK_INCUMBENT)
    return EvaluationPair(mine, theirs)


@dataclass(frozen=True, slots=True)
class _Evaluator:
    """Evaluator of models under one run's conditions, which reuses stored evaluations."""

    client: MlflowClient
    settings: Settings
    dataset: CachedDataset
    conditions: EvaluationConditions
    extra_references: Sequence[Sample] = ()

    def on(self, feedback: CachedDataset) -> "_Evaluator":
        """Return an evaluator for the whole test split of *feedback*.

        Its CIDEr also counts the captions of this evaluator's split.
        """
        wanted = self.conditions.settings.model_copy(update={"split": "test", "max_samples": None})
        extra_references = self.dataset.samples(self.conditions.split, self.conditions.cities)
        return replace(
            self,
            dataset=feedback,
            conditions=conditions_of(feedback, (), wanted, self.conditions.precision),
            extra_references=extra_references,
        )

    def of(self, model: EvaluatedModel, earlier: list[tuple[str, str]]) -> Evaluation:
        """Return *model*'s evaluation.

        It is a stored one of *earlier* (run, artifact) with the same conditions if there is one, else a new one.
        """
        for run_id, artifact in earlier:
            stored = read_artifact(self.client, run_id, artifact)
            evaluation = Evaluation.read(stored) if stored else None
            if evaluation and evaluation.model == model.name and evaluation.conditions == self.conditions:
                return evaluation
        vlm = model.load(self.settings.models_dir, self.conditions.precision)
        return evaluate(vlm, self.dataset, self.conditions, model.name, self.extra_references)

    def time(self, candidate: EvaluatedModel, incumbent: EvaluatedModel, photos: int) -> LatencyComparison:
        """Compare the latency of both models on the split's first *photos* photos."""
        samples = self.dataset.samples(self.conditions.split, self.conditions.cities)[:photos]
        precision = self.conditions.precision
        pair = load_both(candidate, incumbent, self.settings.models_dir, precision)
        on_gpu = pair[0].vlm.model.device.type != "cpu"
        return compare_latency(
            *pair,
            samples,
            device=self.conditions.device,
            precision=precision,
            clock="wall time" if on_gpu else "processor time",
        )


def _store(verdict: GateVerdict, client: MlflowClient) -> None:
    """Store the verdict with the candidate's run: as a file, as tags for search, and on the run's page."""
    log = RunLog(client, verdict.run_id)
    log.text(verdict.model_dump_json(indent=1), VERDICT)
    refused_by = ", ".join(rule.name for rule in verdict.rules if not rule.passed)
    log.tags(
        {
            "gate.admitted": str(verdict.admitted).lower(),
            "gate.incumbent": verdict.incumbent,
            "gate.refused_by": refused_by,
        }
    )
    log.describe(f"### Gate\n\n{verdict.report()}")


def _recipe(client: MlflowClient, model: EvaluatedModel) -> Recipe:
    assert model.run_id is not None  # noqa: S101 - it was trained
    return read_recipe(client, model.run_id)


def _champion_already(champion: ModelVersion, dataset_version: str) -> GateVerdict:
    reason = f"The model is already the champion (version {champion.version})."
    rule = RuleResult(name="champion", passed=True, candidate=None, incumbent=None, reason=reason)
    return GateVerdict(
        run_id=champion.run_id, dataset_version=dataset_version, incumbent=label(champion), rules=(rule,)
    )


def _history(run_id: str, registry: Registry) -> Iterator[RuleResult]:
    """Yield a failing rule for a model that was rolled back, so that it does not return by itself."""
    known = registry.by_run(run_id)
    if known is not None and registry.was_rolled_back(known):
        reason = f"It was the champion as version {known.version} and was rolled back; use --force to promote it again."
        yield RuleResult(name="rolled back", passed=False, candidate=None, incumbent=None, reason=reason)
