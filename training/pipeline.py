"""Training pipeline: fine-tune on a dataset version, evaluate, and log to MLflow.

The command line and Airflow call it.
"""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from mlflow import MlflowClient

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.formats.strict_json import to_document
from snap2caption.names import is_file_name
from snap2caption.settings import Settings
from snap2caption.store import ObjectStore, open_store
from snap2caption.vlm import find_revision, load
from training.data.samples import PROMPTED, CachedDataset, SplitSelection, mix
from training.data.stream import SampleStream
from training.data.subset import subset
from training.data.validation import check_data
from training.distributed import Ranks, process_group
from training.evaluation.evaluate import conditions_of, evaluate
from training.evaluation.report import REPORT, render_report
from training.evaluation.sample_pictures import choose_rows, draw_grid
from training.fit.checkpoints import Checkpoints
from training.fit.finetune import finetune, make_deterministic
from training.fit.lora import adapter_parameters
from training.fit.out_of_memory import evaluation_advice, explain_out_of_memory, training_advice
from training.fit.progress import Report
from training.planning.dry_run import check_model, collator_without_weights
from training.planning.initial_adapter import InitialAdapter, find_initial_adapter
from training.planning.precision import PrecisionChoice, choose_precision, with_precision
from training.recipes.fingerprint import fingerprint, settings_of_weights
from training.recipes.recipe import EvaluationRecipe, Recipe
from training.recipes.sections import Precision
from training.tracking.runs import (
    CANDIDATE,
    FEEDBACK_MANIFEST,
    FINGERPRINT,
    FORCED,
    PRECISION,
    RECIPE,
    RunLog,
    connect,
    explain_mlflow_errors,
    find_run,
    is_finished,
    read_recipe,
)

logger = logging.getLogger(__name__)

SAMPLE_CAPTIONS = 12
"""Number of sample captions logged with a run."""


def train(recipe: Recipe, settings: Settings, *, force: bool = False) -> str:
    """Fine-tune, evaluate and log; return the MLflow run id.

    In distributed training every process calls this, on one machine or several. All of them train; the main process
    logs, saves and evaluates.

    If the same recipe was already trained on the same dataset version and base, its finished run is returned,
    unless *force* is set. From then on that run is judged by this recipe's settings (`training.recipes.fingerprint`
    lists the settings that do not change the weights). A run that was killed resumes from its last checkpoint; with
    *force*, only if it was started with *force*.

    Raises:
        UserError: something that the recipe needs is missing.
        StoppedError: SIGTERM arrived; a checkpoint is saved.
    """
    with process_group() as ranks:
        job = _TrainingJob(
            recipe,
            settings,
            open_dataset(recipe.data.version_uri(), settings),
            open_feedback(recipe, settings),
            find_revision(recipe.model.base, settings.models_dir, recipe.model.revision),
        )
        # In one process, as somebody may promote another model meanwhile.
        initial = ranks.run_on_main(lambda: find_initial_adapter(recipe, settings, job.versions(), job.revision))
        job = replace(job, initial=initial)
        resolved = ranks.run_on_main(lambda: _resolve_precision(job, force=force))
        is_auto = recipe.training.precision == "auto"
        job, recipe = replace(job, recipe=resolved), resolved
        model = check_model(recipe, settings)
        if initial is not None:
            ranks.run_on_main(lambda: initial.check(model.model, recipe.model.lora))
        collate = collator_without_weights(recipe, settings, model, job.revision)
        cut = ranks.run_on_main(lambda: check_data(recipe, job.dataset, collate, job.feedback))
        tags = job.tags() | ({PRECISION: "auto"} if is_auto else {})
        folder = settings.state_dir / "training" / tags[FINGERPRINT]
        with _exclusive(folder) if ranks.is_main else nullcontext():
            run_id, finished = ranks.run_on_main(lambda: _find_or_start(job, tags, force=force))
            if not finished:
                _train_together(job, folder / run_id, run_id, ranks, cut)
                # The adapter is in MLflow, so checkpoints are no longer needed, including those of earlier
                # interrupted runs.
                _remove({folder}, ranks)
                if cut and ranks.is_main:
                    logger.info(
                        "%d posts were truncated to %d tokens (data.max_post_tokens); "
                        "the model did not learn their endings",
                        cut,
                        collate.max_post_tokens,
                    )
    return run_id


@dataclass(frozen=True, slots=True)
class _TrainingJob:
    """A recipe with its datasets, base revision, initial adapter and settings."""

    recipe: Recipe
    settings: Settings
    dataset: CachedDataset
    feedback: CachedDataset | None
    revision: str
    initial: InitialAdapter | None = None

    def versions(self) -> list[str]:
        """Return the versions of the datasets that it trains on."""
        return [source.manifest.version for source in (self.dataset, self.feedback) if source]

    def tags(self) -> dict[str, str]:
        """Return the tags by which an MLflow run is found."""
        content = self.versions() + ([self.initial.digest] if self.initial else [])
        tags = {
            FINGERPRINT: fingerprint(self.recipe, content, self.revision),
            "base": self.recipe.model.base,
            "base_revision": self.revision,
            "dataset_version": self.dataset.manifest.version,
            "prompts": ",".join(PROMPTED),
            "dataset_uri": self.dataset.uri,
        }
        if self.feedback:
            tags |= {"feedback_version": self.feedback.manifest.version, "feedback_uri": self.feedback.uri}
        return tags | (self.initial.tags() if self.initial else {})


def open_dataset(uri: str, settings: Settings) -> CachedDataset:
    """Open the dataset version at *uri*; its shards are cached in the state folder."""
    return CachedDataset.open(uri, settings.shards_dir)


def open_feedback(recipe: Recipe, settings: Settings) -> CachedDataset | None:
    """Open the feedback dataset version that the recipe mixes in, or return None if it has none."""
    wanted = recipe.data.feedback
    return open_dataset(wanted.version_uri(), settings) if wanted else None


def _resolve_precision(job: _TrainingJob, *, force: bool) -> Recipe:
    """Return the job's recipe with a precision in place of ``auto``.

    If this training was begun on another machine, which chose otherwise, it is what that one chose: a run keeps its
    precision.
    """
    recipe, uri = job.recipe, job.settings.mlflow_tracking_uri
    if recipe.training.precision != "auto":
        return recipe
    choice, client = choose_precision(recipe), connect(uri)
    begun: list[Precision] = []
    for precision in get_args(Precision):
        resolved = replace(job, recipe=with_precision(recipe, precision))
        with explain_mlflow_errors(uri):
            known = find_run(client, recipe.tracking.experiment_name, resolved.tags()[FINGERPRINT], forced=force)
        if known is not None and PRECISION in known.data.tags:
            begun.append(precision)
    if begun and choice.precision not in begun:
        choice = PrecisionChoice(begun[0], "this training was begun in it, on another machine")
    logger.info("training.precision=auto: %s; %s", choice.precision, choice.reason)
    return with_precision(recipe, choice.precision)


def _find_or_start(job: _TrainingJob, tags: dict[str, str], *, force: bool) -> tuple[str, bool]:
    """Return the id of the run with the fingerprint in *tags*, and whether that run is finished.

    If there is no such run, start one.
    """
    uri, experiment = job.settings.mlflow_tracking_uri, job.recipe.tracking.experiment_name
    client = connect(uri)
    with explain_mlflow_errors(uri):
        known = find_run(client, experiment, tags[FINGERPRINT], forced=force)
        if known is None:
            return RunLog.start(client, experiment, tags | ({FORCED: "true"} if force else {})).run_id, False
        run_id = str(known.info.run_id)
        if not is_file_name(run_id):
            raise UserError(
                f"MLflow at {uri} has a run id {run_id!r}, which is not a valid folder name; check the server."
            )
        if is_finished(known):
            logger.info(
                "Already trained on dataset %s; returning that run. Use --force to train again.",
                tags["dataset_version"],
            )
            _update_judging(RunLog(client, run_id), job.recipe)
            return run_id, True
        RunLog(client, run_id).resume()
    return run_id, False


def _update_judging(log: RunLog, recipe: Recipe) -> None:
    """Update the evaluation and gate settings in a finished run's stored recipe to those of *recipe*."""
    stored = read_recipe(log.client, log.run_id)
    wanted = stored.model_copy(update={name: getattr(recipe, name) for name in EvaluationRecipe.model_fields})
    if wanted != stored:
        logger.info(
            "updated the run's recipe: the gate now uses the new settings of %s",
            " and ".join(EvaluationRecipe.model_fields),
        )
        log.text(wanted.dump(), RECIPE)


def _train_together(job: _TrainingJob, work_dir: Path, run_id: str, ranks: Ranks, cut: int) -> None:
    """Train in all processes; then evaluate and log in the main process while the others wait."""
    recipe, uri = job.recipe, job.settings.mlflow_tracking_uri
    log = RunLog(MlflowClient(uri, uri), run_id)
    copies = recipe.launcher.checkpoints
    store = open_store(f"{copies.rstrip('/')}/{run_id}") if copies else None
    work_dir.mkdir(parents=True, exist_ok=True)
    with (
        explain_mlflow_errors(uri),
        log.recording(recipe.tracking, job.settings.state_dir) if ranks.is_main else nullcontext(),
    ):
        if ranks.is_main:
            log.parameters(settings_of_weights(recipe))
            log.tags({"launcher": recipe.launcher.kind, "processes": str(ranks.size)})
            log.text(recipe.dump(), RECIPE)
            log.dataset(job.dataset.manifest, job.dataset.uri, test=recipe.evaluation.split)
            if job.feedback:
                log.text(job.feedback.manifest.dump().decode(), FEEDBACK_MANIFEST)
        if not ranks.run_on_main((work_dir / "adapter").is_dir):
            with explain_out_of_memory(training_advice(recipe)):
                _fit_adapter(job, work_dir, log, ranks, store, cut)
        ranks.run_on_main(lambda: _evaluate(job, work_dir / "adapter", log))
        if ranks.is_main:
            Checkpoints(work_dir, store).discard()


def _fit_adapter(
    job: _TrainingJob, work_dir: Path, log: RunLog, ranks: Ranks, store: ObjectStore | None, cut: int
) -> None:
    recipe = job.recipe
    vlm = load(
        recipe.model.base,
        job.settings.models_dir,
        revision=job.revision,
        dtype=recipe.training.dtype,
        load_in_4bit=recipe.model.load_in_4bit,
        split_images=recipe.model.do_image_splitting,
    )
    everything = job.dataset.samples("validation", recipe.data.cities, recipe.data.samples_per_city)
    validation = subset(everything, recipe.data.max_validation_samples)
    train_samples = _training_samples(job, work_dir / "stream" / str(ranks.rank))
    if ranks.is_main:
        log.parameters({"train_samples": len(train_samples), "validation_samples": len(validation), "cut_posts": cut})
    report: Report = log.metrics if ranks.is_main else lambda *_: None
    # Only the main process needs it: the others get its weights before the first step, from torch's DDP.
    with job.initial.downloaded() if job.initial and ranks.is_main else nullcontext() as initial:
        finetune(vlm, train_samples, validation, recipe, work_dir, report, ranks, store, initial)


def _evaluate(job: _TrainingJob, adapter: Path, log: RunLog) -> None:
    recipe, dataset = job.recipe, job.dataset
    make_deterministic(recipe.training)
    with explain_mlflow_errors(job.settings.mlflow_tracking_uri):
        log.parameters({"trainable_parameters": adapter_parameters(adapter)})
        # Loaded from disk, so that the saved adapter is the one evaluated; never in 4 bits, because it is served
        # unquantized.
        vlm = load(
            recipe.model.base,
            job.settings.models_dir,
            adapter=adapter,
            revision=job.revision,
            dtype=recipe.training.dtype,
        )
        conditions = conditions_of(dataset, recipe.data.cities, recipe.evaluation, recipe.training.dtype)
        with explain_out_of_memory(evaluation_advice(recipe.evaluation)):
            evaluation = evaluate(vlm, dataset, conditions, f"run:{log.run_id}")
        log.text(evaluation.model_dump_json(indent=1), CANDIDATE)
        rows = choose_rows(evaluation, SAMPLE_CAPTIONS)
        log.table([to_document(row) for row in rows], "samples/captions.json")
        samples = dataset.samples(recipe.evaluation.split, recipe.data.cities)
        log.picture(draw_grid(rows, samples), "samples/captions.png")
        log.text(render_report(evaluation, samples), REPORT)
        log.model(adapter, recipe.model.base, job.revision, evaluation.metrics())


def _training_samples(job: _TrainingJob, scratch: Path) -> list[Sample] | SampleStream:
    """Return the samples to train on.

    A stream keeps its shards under *scratch* while they are read; leftovers of a killed run are removed first.
    """
    dataset, data, settings = job.dataset, job.recipe.data, job.recipe.training
    if not data.stream:
        samples = dataset.samples("train", data.cities, data.samples_per_city)
        if job.feedback and data.feedback:
            return mix(samples, job.feedback.samples("train"), data.feedback.share, settings.seed)
        return samples
    shutil.rmtree(scratch, ignore_errors=True)
    selection = SplitSelection("train", data.cities, data.samples_per_city)
    return SampleStream(
        dataset.source, selection, batch_size=settings.global_micro_batch_size, seed=settings.seed, scratch=scratch
    )


def _remove(folders: set[Path], ranks: Ranks) -> None:
    """Remove *folders*, once per machine."""
    if ranks.is_local_main:
        for folder in folders:
            # Machines may share the disk, so another one may remove the same folder at the same time.
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _exclusive(work_dir: Path) -> Iterator[None]:
    """Hold an exclusive lock on the work folder.

    The operating system releases it when the process dies, so a lock is never stale.
    """
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    with work_dir.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError("The same training is already running; wait for it to finish, or stop it first.") from error
        yield
