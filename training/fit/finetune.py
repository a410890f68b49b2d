"""Fine-tuning: a LoRA adapter on a base model, trained by transformers' Trainer and saved at its best step.

The Trainer provides checkpoints with optimizer and random state, gradient accumulation, mixed precision, gradient
checkpointing and distributed training. On the demo model, whose steps are the shortest, its CPU time differs from
that of a bare loop by less than the noise.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import set_seed

from snap2caption.datasets.shards import Sample
from snap2caption.errors import StoppedError
from snap2caption.images import decode
from snap2caption.post import render
from snap2caption.store import ObjectStore
from snap2caption.vlm import VisionLanguageModel
from training.data.collator import SampleCollator
from training.data.dataset import TrainingDataset, encode_dataset
from training.data.samplers import EpochOrder
from training.data.samples import evaluation_prompt, training_prompt
from training.data.stream import PositionalDataset, SampleStream, StreamOrder
from training.data.vision_features import cacheable, check_image_tokens
from training.distributed import SINGLE_PROCESS, Ranks
from training.fit import cpu_kernels
from training.fit.callbacks import StopEarly, StopOnSignal, best_step, should_stop_early, validation_losses
from training.fit.checkpoints import Checkpoints
from training.fit.lora import add_adapter
from training.fit.progress import MetricsReporter, ProgressBar, Report
from training.fit.trainer import AnswerTrainer, MeasureAndSave, ReorderEpochs, is_eval_step, training_arguments
from training.recipes.recipe import Recipe
from training.recipes.sections import TrainingSettings


def finetune(
    vlm: VisionLanguageModel,
    train: Sequence[Sample] | SampleStream,
    validation: Sequence[Sample],
    recipe: Recipe,
    work_dir: Path,
    report: Report,
    ranks: Ranks = SINGLE_PROCESS,
    store: ObjectStore | None = None,
    initial: Path | None = None,
) -> Path:
    """Train an adapter on *vlm*, which carries it afterwards, and save it.

    Args:
        vlm: the base model without an adapter.
        train: the training samples; a stream is read again in each epoch, and nothing of it is cached.
        validation: the samples for the validation loss.
        recipe: the training recipe.
        work_dir: the folder of checkpoints; if it holds one, training resumes from there, with the same result.
        report: called with each metric when it is known.
        ranks: the processes that train together, each of which calls this; the main process reports and saves.
        store: gets a copy of each checkpoint, for machines that share no disk.
        initial: the folder of the adapter to begin with, instead of a new one; in the main process, whose weights the
            others get.

    Returns:
        The adapter's folder.

    Raises:
        UserError: the recipe does not fit the model.
        StoppedError: SIGTERM arrived.
    """
    settings = recipe.training
    make_deterministic(settings, ranks.local_size)
    collate = SampleCollator(vlm, partial(training_prompt, seed=settings.seed), recipe.data.max_post_tokens)
    vlm.model = add_adapter(vlm.model, recipe.model.lora, initial)
    cpu_kernels.use(vlm.model)
    cached = not isinstance(train, SampleStream) and cacheable(vlm, collate, train, settings.feature_cache_gib)
    # Encoding the photos checks them as they are.
    check_image_tokens(vlm, collate, validation[0], as_it_is=not cached)
    # Check now that evaluation will fit into the context: it would fail hours later.
    photo, prompt = decode(validation[0].photo()), evaluation_prompt(validation[0])
    vlm.check_room(vlm.inputs([photo], [prompt]), recipe.evaluation.max_new_tokens)
    checkpoints = Checkpoints(work_dir, store)
    last = checkpoints.fetch(ranks)
    history = [] if last is None else checkpoints.state(last)["log_history"]
    if not should_stop_early(history, settings):
        order: EpochOrder | StreamOrder
        if isinstance(train, SampleStream):
            order, rows = StreamOrder(train), TrainingDataset(PositionalDataset(train), validation, collate)
        else:
            order = EpochOrder(
                [len(render(sample.post)) for sample in train], settings.global_micro_batch_size, settings.seed
            )
            rows = (
                encode_dataset(vlm, collate, train, validation, settings, ranks)
                if cached
                else TrainingDataset(train, validation, collate)
            )
        history = _run_trainer(vlm, rows, order, recipe, checkpoints, last, report, ranks)
    vlm.model.eval()
    adapter = work_dir / "adapter"
    if ranks.is_main:
        best = best_step(history) if settings.early_stopping_patience else None
        if best is not None:
            set_peft_model_state_dict(vlm.model, load_file(checkpoints.path(best) / "adapter_model.safetensors"))
        _save(vlm, adapter)
    return adapter


def make_deterministic(settings: TrainingSettings, processes: int = 1) -> None:
    """Make results depend on the seed alone, in each of *processes* on this machine."""
    if settings.threads or processes > 1:
        torch.set_num_threads(max(1, (settings.threads or os.cpu_count() or 1) // processes))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Otherwise torch fills every new tensor with NaN, in case an operation reads memory that it did not write.
    torch.utils.deterministic.fill_uninitialized_memory = False
    set_seed(settings.seed)


def _run_trainer(
    vlm: VisionLanguageModel,
    rows: TrainingDataset,
    order: EpochOrder | StreamOrder,
    recipe: Recipe,
    checkpoints: Checkpoints,
    last: int | None,
    report: Report,
    ranks: Ranks,
) -> list[dict[str, Any]]:
    """Train from the *last* checkpoint to the end, and return the Trainer's log history."""
    settings = recipe.training
    stop = StopOnSignal(ranks)
    callbacks = [ReorderEpochs(order), MeasureAndSave(settings), StopEarly(settings), stop]
    trainer = AnswerTrainer(
        model=vlm.model,
        args=training_arguments(
            recipe,
            checkpoints.folder,
            ranks,
            eval_on_start=last is not None and _lacks_measurement(checkpoints.state(last), settings),
            find_unused_parameters=any(
                "vision" in name for name, weight in vlm.model.named_parameters() if weight.requires_grad
            ),
        ),
        rows=rows,
        order=order,
        checkpoints=checkpoints,
        ranks=ranks,
        settings=settings,
        callbacks=[*callbacks, MetricsReporter(report), ProgressBar()] if ranks.is_main else callbacks,
    )
    # A different seed per process; otherwise dropout would drop the same positions of every share.
    torch.manual_seed(settings.seed + ranks.rank)
    with stop:
        trainer.train(resume_from_checkpoint=None if last is None else str(checkpoints.path(last)))
    if stop.stop_requested:
        raise StoppedError("Training was stopped and saved a checkpoint; run the same command again to resume.")
    history: list[dict[str, Any]] = trainer.state.log_history
    return history


def _lacks_measurement(state: Mapping[str, Any], settings: TrainingSettings) -> bool:
    """Return whether the validation loss at a checkpoint is still missing: a stopped training skips it."""
    step = state["global_step"]
    wanted = is_eval_step(step, state["max_steps"], settings)
    return wanted and step not in [at for at, _ in validation_losses(state["log_history"])]


def _save(vlm: VisionLanguageModel, adapter: Path) -> None:
    """Save the adapter atomically: its folder appears complete or not at all."""
    partial_folder = adapter.with_suffix(".partial")
    for folder in (partial_folder, adapter):
        shutil.rmtree(folder, ignore_errors=True)
    vlm.save_adapter(partial_folder)
    partial_folder.rename(adapter)
