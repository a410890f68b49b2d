"""The fine-tuning: a LoRA adapter on a base model, trained by transformers' Trainer, saved where it was best.

Why the Trainer: checkpoints with optimizer and random state, accumulation, mixed precision, gradient checkpointing and several processes come
with it. On the demo model, whose steps are the shortest, its CPU time differs from that of a bare loop by less than the noise.
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
from training.data.dataset import TrainingDataset, look_once
from training.data.samplers import EpochOrder
from training.data.samples import evaluation_prompt, training_prompt
from training.data.stream import PositionalDataset, SampleStream, StreamOrder
from training.data.vision_features import check_image_tokens
from training.distributed import ALONE, Ranks
from training.fit.callbacks import StopEarly, StopOnSignal, best_step, is_over, measured
from training.fit.checkpoints import Checkpoints
from training.fit.lora import add_adapter
from training.fit.progress import MetricsReporter, ProgressBar, Report
from training.fit.trainer import AnswerTrainer, MeasureAndSave, ReorderEpochs, is_measured, training_arguments
from training.recipes.recipe import Recipe
from training.recipes.sections import TrainingSettings


def finetune(
    vlm: VisionLanguageModel,
    train: Sequence[Sample] | SampleStream,
    validation: Sequence[Sample],
    recipe: Recipe,
    work_dir: Path,
    report: Report,
    ranks: Ranks = ALONE,
    store: ObjectStore | None = None,
) -> Path:
    """Train an adapter on *vlm*, which carries it afterwards, and save it.

    Args:
        vlm: the untouched base.
        train: what to learn from; a stream is read anew in each epoch, and nothing of it kept.
        validation: what the loss is measured on.
        recipe: how.
        work_dir: where the checkpoints are; if it holds one, training goes on from there, to the same result.
        report: is told of each metric as it comes.
        ranks: the processes that train together, each of which calls this; the first one reports and saves.
        store: what gets a copy of each checkpoint, for machines that share no disk.

    Returns:
        The adapter's folder.

    Raises:
        UserError: the recipe does not fit the model.
        StoppedError: SIGTERM came.
    """
    settings = recipe.training
    make_deterministic(settings, ranks.local_size)
    collate = SampleCollator(vlm, partial(training_prompt, seed=settings.seed), recipe.data.max_post_tokens)
    check_image_tokens(vlm, collate, validation[0])
    # Evaluation would find it hours later.
    photo, prompt = decode(validation[0].photo()), evaluation_prompt(validation[0])
    vlm.check_room(vlm.inputs([photo], [prompt]), recipe.evaluation.max_new_tokens)
    vlm.model = add_adapter(vlm.model, recipe.model.lora)
    checkpoints = Checkpoints(work_dir, store)
    last = checkpoints.fetch(ranks)
    history = [] if last is None else checkpoints.state(last)["log_history"]
    if not is_over(history, settings):
        order: EpochOrder | StreamOrder
        if isinstance(train, SampleStream):
            order, rows = StreamOrder(train), TrainingDataset(PositionalDataset(train), validation, collate)
        else:
            order = EpochOrder(
                [len(render(sample.post)) for sample in train], settings.global_micro_batch_size, settings.seed
            )
            rows = look_once(vlm, collate, train, validation, settings, ranks)
        history = _run_trainer(vlm, rows, order, recipe, checkpoints, last, report, ranks)
    vlm.model.eval()
    adapter = work_dir / "adapter"
    if ranks.leads:
        best = best_step(history) if settings.early_stopping_patience else None
        if best is not None:
            set_peft_model_state_dict(vlm.model, load_file(checkpoints.path(best) / "adapter_model.safetensors"))
        _save(vlm, adapter)
    return adapter


def make_deterministic(settings: TrainingSettings, processes: int = 1) -> None:
    """Make the same seed give the same numbers, in each of so many *processes* on this machine."""
    if settings.threads or processes > 1:
        torch.set_num_threads(max(1, (settings.threads or os.cpu_count() or 1) // processes))
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # It would fill the memory of every result with NaN first, in case an operation reads what it did not write.
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
    """Train from the *last* checkpoint to the end, and return what was measured."""
    settings = recipe.training
    stop = StopOnSignal(ranks)
    callbacks = [ReorderEpochs(order), MeasureAndSave(settings), StopEarly(settings), stop]
    trainer = AnswerTrainer(
        model=vlm.model,
        args=training_arguments(
            recipe,
            checkpoints.folder,
            ranks,
            measure_first=last is not None and _lacks_measurement(checkpoints.state(last), settings),
            some_unused=any("vision" in name for name, weight in vlm.model.named_parameters() if weight.requires_grad),
        ),
        rows=rows,
        order=order,
        checkpoints=checkpoints,
        ranks=ranks,
        settings=settings,
        callbacks=[*callbacks, MetricsReporter(report), ProgressBar()] if ranks.leads else callbacks,
    )
    # Each process its own, or dropout would drop the same of every share.
    torch.manual_seed(settings.seed + ranks.rank)
    with stop:
        trainer.train(resume_from_checkpoint=None if last is None else str(checkpoints.path(last)))
    if stop.asked:
        raise StoppedError("Training was stopped and has saved a checkpoint; the same command goes on from there.")
    history: list[dict[str, Any]] = trainer.state.log_history
    return history


def _lacks_measurement(state: Mapping[str, Any], settings: TrainingSettings) -> bool:
    """Whether the validation loss at a checkpoint is still to be measured: who stops a training may not wait for it."""
    step = state["global_step"]
    wanted = is_measured(step, state["max_steps"], settings)
    return wanted and step not in [at for at, _ in measured(state["log_history"])]


def _save(vlm: VisionLanguageModel, adapter: Path) -> None:
    """Save the adapter; its folder appears whole or not at all."""
    partial_folder = adapter.with_suffix(".partial")
    for folder in (partial_folder, adapter):
        shutil.rmtree(folder, ignore_errors=True)
    vlm.save_adapter(partial_folder)
    partial_folder.rename(adapter)
