"""From a dataset version to an evaluated model in MLflow: fine-tune, evaluate, log. The command line and Airflow call this."""

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snap2caption.errors import UserError
from snap2caption.settings import Settings
from snap2caption.shards import Sample
from snap2caption.vlm import find_revision, load
from training.data import CachedDataset, Selection, mix
from training.evaluate import conditions_of, evaluate
from training.finetune import finetune, make_deterministic
from training.lora import trainable_parameters
from training.pictures import choose_rows, draw_grid
from training.plan import check_model
from training.recipe import Recipe
from training.report import REPORT, render_report
from training.stream import SampleStream
from training.tracking import CANDIDATE, FINGERPRINT, RECIPE, RunLog, connect, explained, find_run, is_finished

logger = logging.getLogger(__name__)

SAMPLE_CAPTIONS = 12
"""How many captions are shown in a run."""


def train(recipe: Recipe, settings: Settings, *, force: bool = False) -> str:
    """Fine-tune, evaluate and log; return the MLflow run's id.

    A recipe that was trained on the same dataset version and base before is not trained again, unless *force*: its run is returned. One
    that was killed goes on in its own run, from its last checkpoint.

    Raises:
        UserError: something that the recipe needs is missing.
        StoppedError: SIGTERM came; a checkpoint is saved.
    """
    client = connect(settings.mlflow_tracking_uri)
    dataset = open_dataset(recipe.data.version_uri(), settings)
    feedback = open_feedback(recipe, settings)
    revision = find_revision(recipe.model.base, settings.models_dir)
    check_model(recipe, settings)
    versions = [source.manifest.version for source in (dataset, feedback) if source]
    identity = fingerprint(recipe, versions, revision)
    work_dir = settings.state_dir / "training" / identity
    with explained(settings.mlflow_tracking_uri), _alone(work_dir):
        known = None if force else find_run(client, recipe.tracking.experiment, identity)
        if known is not None and is_finished(known):
            logger.info("this recipe was trained on dataset %s before", dataset.manifest.version)
            return str(known.info.run_id)
        if known is not None:
            log = RunLog(client, known.info.run_id)
            log.resume()
        else:
            shutil.rmtree(work_dir, ignore_errors=True)
            tags = {
                FINGERPRINT: identity,
                "base": recipe.model.base,
                "base_revision": revision,
                "dataset_version": dataset.manifest.version,
                "dataset_uri": dataset.uri,
            } | ({"feedback_version": feedback.manifest.version, "feedback_uri": feedback.uri} if feedback else {})
            log = RunLog.start(client, recipe.tracking.experiment, tags)
        with log.recording(recipe.tracking, settings.state_dir):
            _train(recipe, settings, dataset, feedback, revision, work_dir, log)
        # The checkpoints are of no use any more: the adapter is in MLflow.
        shutil.rmtree(work_dir)
    return log.run_id


def fingerprint(recipe: Recipe, versions: Sequence[str], revision: str) -> str:
    """Return what makes two trainings the same: the recipe without where things are filed, the datasets' content, the base's weights."""
    elsewhere: dict[str, Any] = {"tracking": True, "data": {"uri": True, "version": True, "feedback": {"uri"}}}
    content = recipe.model_dump(mode="json", exclude=elsewhere)
    parts = json.dumps([content, versions, revision], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def open_dataset(uri: str, settings: Settings) -> CachedDataset:
    """Open the dataset version at *uri*; its shards are kept in the state folder."""
    return CachedDataset.open(uri, settings.state_dir / "shards")


def open_feedback(recipe: Recipe, settings: Settings) -> CachedDataset | None:
    """Open the feedback dataset version that the recipe mixes in, if it does."""
    wanted = recipe.data.feedback
    return open_dataset(wanted.version_uri(), settings) if wanted else None


def _train(
    recipe: Recipe,
    settings: Settings,
    dataset: CachedDataset,
    feedback: CachedDataset | None,
    revision: str,
    work_dir: Path,
    log: RunLog,
) -> None:
    log.parameters(recipe.model_dump(mode="json", exclude={"tracking"}))
    log.text(recipe.dump(), RECIPE)
    log.dataset(dataset.manifest, dataset.uri, test=recipe.evaluation.split)
    dtype, data = recipe.optimiser.precision, recipe.data
    adapter = work_dir / "adapter"
    if not adapter.is_dir():
        vlm = load(
            recipe.model.base,
            settings.models_dir,
            revision=revision,
            dtype=dtype,
            load_in_4bit=recipe.model.load_in_4bit,
            split_images=recipe.model.split_images,
        )
        learned_from = _learned_from(recipe, dataset, feedback, work_dir)
        validation = dataset.samples("validation", data.cities, data.samples_per_city)
        finetune(vlm, learned_from, validation, recipe, work_dir, log.metrics)
        log.parameters({"trainable_parameters": trainable_parameters(vlm.model), "train_samples": len(learned_from)})
    make_deterministic(recipe.optimiser)
    # Loaded from disk, so that what is evaluated is what was saved; never in 4 bits, as it is served.
    vlm = load(recipe.model.base, settings.models_dir, adapter=adapter, revision=revision, dtype=dtype)
    conditions = conditions_of(dataset, data.cities, recipe.evaluation)
    evaluation = evaluate(vlm, dataset, conditions, f"run:{log.run_id}")
    log.metrics(evaluation.metrics(), 0)
    log.text(evaluation.model_dump_json(indent=1), CANDIDATE)
    rows = choose_rows(evaluation, SAMPLE_CAPTIONS)
    log.table([row.model_dump(mode="json") for row in rows], "samples/captions.json")
    samples = dataset.samples(recipe.evaluation.split, data.cities)
    log.picture(draw_grid(rows, samples), "samples/captions.png")
    log.text(render_report(evaluation, samples), REPORT)
    log.model(adapter, recipe.model.base, revision)


def _learned_from(
    recipe: Recipe, dataset: CachedDataset, feedback: CachedDataset | None, work_dir: Path
) -> list[Sample] | SampleStream:
    """Return the samples to train on. A stream's shards lie under *work_dir* while they are read; what a killed run left there is removed."""
    data, settings = recipe.data, recipe.optimiser
    if not data.stream:
        samples = dataset.samples("train", data.cities, data.samples_per_city)
        if feedback and data.feedback:
            return mix(samples, feedback.samples("train"), data.feedback.share, settings.seed)
        return samples
    scratch = work_dir / "stream"
    shutil.rmtree(scratch, ignore_errors=True)
    selection = Selection("train", data.cities, data.samples_per_city)
    return SampleStream(dataset.source, selection, batch_size=settings.batch_size, seed=settings.seed, scratch=scratch)


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
