"""From a dataset version to an evaluated model in MLflow: fine-tune, evaluate, log. The command line and Airflow call this."""

import fcntl
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.names import is_file_name
from snap2caption.settings import Settings
from snap2caption.store import ObjectStore, open_store
from snap2caption.strict_json import to_document
from snap2caption.vlm import find_revision, load
from training.data.samples import PROMPTED, CachedDataset, SplitSelection, mix
from training.data.stream import SampleStream
from training.data.subset import subset
from training.data.validation import check_data
from training.distributed import Ranks, joined
from training.evaluation.evaluate import conditions_of, evaluate
from training.evaluation.report import REPORT, render_report
from training.evaluation.sample_pictures import choose_rows, draw_grid
from training.fit.checkpoints import Checkpoints
from training.fit.finetune import finetune, make_deterministic
from training.fit.lora import adapter_parameters
from training.fit.out_of_memory import evaluation_advice, explaining_shortage, training_advice
from training.fit.progress import Report
from training.planning.dry_run import check_model, imagined_collator
from training.recipes.fingerprint import fingerprint, settings_of_weights
from training.recipes.recipe import EvaluationRecipe, Recipe
from training.tracking.runs import (
    CANDIDATE,
    FEEDBACK_MANIFEST,
    FINGERPRINT,
    FORCED,
    RECIPE,
    RunLog,
    connect,
    explained,
    find_run,
    is_finished,
    read_recipe,
)

logger = logging.getLogger(__name__)

SAMPLE_CAPTIONS = 12
"""How many captions are shown in a run."""


def train(recipe: Recipe, settings: Settings, *, force: bool = False) -> str:
    """Fine-tune, evaluate and log; return the MLflow run's id.

    Each of several processes that train together calls this, on one machine or many. All train; the first one logs, saves and evaluates.

    A recipe that was trained on the same dataset version and base before is not trained again, unless *force*: its run is returned, and
    will be judged as this recipe says (`training.recipes.fingerprint` has the settings that make no other training). One that was killed goes on
    in its own run, from its last checkpoint; with *force*, if it was started with *force*.

    Raises:
        UserError: something that the recipe needs is missing.
        StoppedError: SIGTERM came; a checkpoint is saved.
    """
    with joined() as ranks:
        job = _TrainingJob(
            recipe,
            settings,
            open_dataset(recipe.data.version_uri(), settings),
            open_feedback(recipe, settings),
            find_revision(recipe.model.base, settings.models_dir, recipe.model.revision),
        )
        model = check_model(recipe, settings)
        collate = imagined_collator(recipe, settings, model, job.revision)
        cut = ranks.lead(lambda: check_data(recipe, job.dataset, collate, job.feedback))
        tags = job.tags()
        folder = settings.state_dir / "training" / tags[FINGERPRINT]
        with _alone(folder) if ranks.leads else nullcontext():
            run_id, finished = ranks.lead(lambda: _find_or_start(job, tags, force=force))
            if not finished:
                _train_together(job, folder / run_id, run_id, ranks, cut)
                # The checkpoints are of no use any more, nor those of runs that were cut off before this one: the adapter is in MLflow.
                _remove({folder}, ranks)
                if cut and ranks.leads:
                    logger.info(
                        "%d posts have more than %d tokens (data.max_post_tokens): the ends of their captions were not learned",
                        cut,
                        collate.max_post_tokens,
                    )
    return run_id


@dataclass(frozen=True, slots=True)
class _TrainingJob:
    """What is trained, and on what."""

    recipe: Recipe
    settings: Settings
    dataset: CachedDataset
    feedback: CachedDataset | None
    revision: str

    def tags(self) -> dict[str, str]:
        """Return what an MLflow run is found by."""
        versions = [source.manifest.version for source in (self.dataset, self.feedback) if source]
        tags = {
            FINGERPRINT: fingerprint(self.recipe, versions, self.revision),
            "base": self.recipe.model.base,
            "base_revision": self.revision,
            "dataset_version": self.dataset.manifest.version,
            "prompts": ",".join(PROMPTED),
            "dataset_uri": self.dataset.uri,
        }
        if self.feedback:
            tags |= {"feedback_version": self.feedback.manifest.version, "feedback_uri": self.feedback.uri}
        return tags


def open_dataset(uri: str, settings: Settings) -> CachedDataset:
    """Open the dataset version at *uri*; its shards are kept in the state folder."""
    return CachedDataset.open(uri, settings.shards_dir)


def open_feedback(recipe: Recipe, settings: Settings) -> CachedDataset | None:
    """Open the feedback dataset version that the recipe mixes in, if it does."""
    wanted = recipe.data.feedback
    return open_dataset(wanted.version_uri(), settings) if wanted else None


def _find_or_start(job: _TrainingJob, tags: dict[str, str], *, force: bool) -> tuple[str, bool]:
    """Return the id of the run with the fingerprint in *tags*, a new one if there is none, and whether it is finished."""
    uri, experiment = job.settings.mlflow_tracking_uri, job.recipe.tracking.experiment_name
    client = connect(uri)
    with explained(uri):
        known = find_run(client, experiment, tags[FINGERPRINT], forced=force)
        if known is None:
            return RunLog.start(client, experiment, tags | ({FORCED: "true"} if force else {})).run_id, False
        run_id = str(known.info.run_id)
        if not is_file_name(run_id):
            raise UserError(
                f"MLflow at {uri} calls a run {run_id!r}, which can't be a folder's name; look at the server."
            )
        if is_finished(known):
            logger.info(
                "Trained before on dataset %s, so that run is returned; --force trains again.", tags["dataset_version"]
            )
            _judge_as_told(RunLog(client, run_id), job.recipe)
            return run_id, True
        RunLog(client, run_id).resume()
    return run_id, False


def _judge_as_told(log: RunLog, recipe: Recipe) -> None:
    """Let the stored recipe of a finished run say what *recipe* says of how to judge it; the rest stays as it was trained by."""
    stored = read_recipe(log.client, log.run_id)
    wanted = stored.model_copy(update={name: getattr(recipe, name) for name in EvaluationRecipe.model_fields})
    if wanted != stored:
        logger.info(
            "its recipe has other settings of %s now; the gate goes by them",
            " and ".join(EvaluationRecipe.model_fields),
        )
        log.text(wanted.dump(), RECIPE)


def _train_together(job: _TrainingJob, work_dir: Path, run_id: str, ranks: Ranks, cut: int) -> None:
    """Train together; then the first process evaluates and logs, and the others wait for how that ends."""
    recipe, uri = job.recipe, job.settings.mlflow_tracking_uri
    log = RunLog(MlflowClient(uri), run_id)
    copies = recipe.launcher.checkpoints
    store = open_store(f"{copies.rstrip('/')}/{run_id}") if copies else None
    work_dir.mkdir(parents=True, exist_ok=True)
    with explained(uri), log.recording(recipe.tracking, job.settings.state_dir) if ranks.leads else nullcontext():
        if ranks.leads:
            log.parameters(settings_of_weights(recipe))
            log.tags({"launcher": recipe.launcher.kind, "processes": str(ranks.size)})
            log.text(recipe.dump(), RECIPE)
            log.dataset(job.dataset.manifest, job.dataset.uri, test=recipe.evaluation.split)
            if job.feedback:
                log.text(job.feedback.manifest.dump().decode(), FEEDBACK_MANIFEST)
        if not ranks.lead((work_dir / "adapter").is_dir):
            with explaining_shortage(training_advice(recipe)):
                _fit_adapter(job, work_dir, log, ranks, store, cut)
        ranks.lead(lambda: _evaluate(job, work_dir / "adapter", log))
        if ranks.leads:
            Checkpoints(work_dir, store).discard()


def _fit_adapter(
    job: _TrainingJob, work_dir: Path, log: RunLog, ranks: Ranks, store: ObjectStore | None, cut: int
) -> None:
    recipe = job.recipe
    vlm = load(
        recipe.model.base,
        job.settings.models_dir,
        revision=job.revision,
        dtype=recipe.training.precision,
        load_in_4bit=recipe.model.load_in_4bit,
        split_images=recipe.model.do_image_splitting,
    )
    everything = job.dataset.samples("validation", recipe.data.cities, recipe.data.samples_per_city)
    validation = subset(everything, recipe.data.max_validation_samples)
    learned_from = _learned_from(job, work_dir / "stream" / str(ranks.rank))
    if ranks.leads:
        log.parameters({"train_samples": len(learned_from), "validation_samples": len(validation), "cut_posts": cut})
    report: Report = log.metrics if ranks.leads else lambda *_: None
    finetune(vlm, learned_from, validation, recipe, work_dir, report, ranks, store)


def _evaluate(job: _TrainingJob, adapter: Path, log: RunLog) -> None:
    recipe, dataset = job.recipe, job.dataset
    make_deterministic(recipe.training)
    with explained(job.settings.mlflow_tracking_uri):
        log.parameters({"trainable_parameters": adapter_parameters(adapter)})
        # Loaded from disk, so that what is evaluated is what was saved; never in 4 bits, as it is served.
        vlm = load(
            recipe.model.base,
            job.settings.models_dir,
            adapter=adapter,
            revision=job.revision,
            dtype=recipe.training.precision,
        )
        conditions = conditions_of(dataset, recipe.data.cities, recipe.evaluation, recipe.training.precision)
        with explaining_shortage(evaluation_advice(recipe.evaluation)):
            evaluation = evaluate(vlm, dataset, conditions, f"run:{log.run_id}")
        log.metrics(evaluation.metrics(), 0)
        log.text(evaluation.model_dump_json(indent=1), CANDIDATE)
        rows = choose_rows(evaluation, SAMPLE_CAPTIONS)
        log.table([to_document(row) for row in rows], "samples/captions.json")
        samples = dataset.samples(recipe.evaluation.split, recipe.data.cities)
        log.picture(draw_grid(rows, samples), "samples/captions.png")
        log.text(render_report(evaluation, samples), REPORT)
        log.model(adapter, recipe.model.base, job.revision)


def _learned_from(job: _TrainingJob, scratch: Path) -> list[Sample] | SampleStream:
    """Return the samples to train on. A stream's shards lie under *scratch* while they are read; what a killed run left there is removed."""
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
    """Remove *folders*, once on each machine."""
    if ranks.leads_machine:
        for folder in folders:
            # Machines may share the disk after all, and another one do the same.
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(work_dir: Path) -> Iterator[None]:
    """Hold the work folder's lock. The system drops it when the process dies, so none is ever stale."""
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    with work_dir.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError("The same training is running already; wait for it, or stop it first.") from error
        yield
