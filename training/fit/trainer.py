"""Customized transformers Trainer: answer loss, batch order, evaluation and checkpoint schedule."""

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from training.data.collator import Batch
from training.data.dataset import TrainingDataset
from training.data.samplers import EpochOrder, SharedBatches
from training.data.stream import StreamOrder
from training.distributed import Ranks
from training.fit.callbacks import LOSS, StopAtDivergence, best_step, divergence_error
from training.fit.checkpoints import Checkpoints
from training.fit.loss import answer_loss, summed_answer_loss
from training.recipes.recipe import Recipe
from training.recipes.sections import TrainingSettings


class AnswerTrainer(Trainer):
    """Trainer whose loss is the mean over the answer tokens of a whole optimizer step.

    The loss does not depend on how the step is divided into batches and processes.
    """

    # The Trainer sets it, without a type.
    control: Any

    def __init__(
        self,
        *,
        rows: TrainingDataset,
        order: EpochOrder | StreamOrder,
        checkpoints: Checkpoints,
        ranks: Ranks,
        settings: TrainingSettings,
        **arguments: Any,
    ) -> None:
        super().__init__(train_dataset=rows.train, data_collator=rows.collate, **arguments)
        self.rows = rows
        self.order = order
        self.checkpoints = checkpoints
        self.ranks = ranks
        self.settings = settings
        # The loss is normalized over the whole step, so the Trainer must not divide it by the accumulation steps
        # again.
        self.model_accepts_loss_kwargs = True
        self._losses: list[torch.Tensor] = []
        self.add_callback(StopAtDivergence(ranks, self._losses))
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,  # noqa: ARG002 - the Trainer's own signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the batch's share of the step's mean loss, times the number of processes.

        The factor is needed because the gradients of the processes are averaged.
        """
        loss, tokens = answer_loss(model, inputs)
        self._losses.append(loss.detach())
        return loss * self.ranks.size / (tokens if num_items_in_batch is None else num_items_in_batch)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure the validation loss; the processes share the batches.

        Raises:
            UserError: the loss is not finite.
        """
        batches = DataLoader(
            self.rows.validation,
            batch_sampler=SharedBatches(
                range(len(self.rows.validation)), self.settings.global_micro_batch_size, self.ranks
            ),
            collate_fn=self.data_collator,
            # A separate generator, because the loader would otherwise draw from the training's random state.
            generator=torch.Generator(),
        )
        loss, tokens = self.ranks.all_reduce_sum(list(summed_answer_loss(self.model, batches)))
        metrics = {LOSS: loss / tokens}
        self.log(metrics)
        if not math.isfinite(loss):
            raise divergence_error("validation", self.state.global_step)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def get_train_dataloader(self) -> DataLoader:
        """Return a loader of this process's share of an epoch's batches."""
        return DataLoader(
            self.train_dataset,
            batch_sampler=SharedBatches(self.order, self.settings.global_micro_batch_size, self.ranks),
            collate_fn=self.data_collator,
            generator=torch.Generator(),
        )

    def _save_checkpoint(self, *arguments: Any, **named: Any) -> None:
        # A step may leave NaN weights although its loss was finite. Resuming from them would fail in the same way
        # forever.
        if not all(weight.isfinite().all() for weight in self.model.parameters() if weight.requires_grad):
            raise divergence_error("training", self.state.global_step)
        super()._save_checkpoint(*arguments, **named)
        if self.ranks.is_main:
            best = best_step(self.state.log_history) if self.settings.early_stopping_patience else None
            self.checkpoints.complete(self.state.global_step, keep=() if best is None else (best,))

    def _save_rng_state(self, output_dir: str) -> None:
        """Save the random state of every process in the main process's checkpoint.

        Other machines may not share its disk.
        """
        with tempfile.TemporaryDirectory() as scratch:
            super()._save_rng_state(scratch)
            (own,) = Path(scratch).iterdir()
            states = self.ranks.all_gather((own.name, own.read_bytes()))
        if self.ranks.is_main:
            for name, content in states:
                (Path(output_dir) / name).write_bytes(content)


class MeasureAndSave(TrainerCallback):
    """Callback that decides after which steps the validation loss is measured and a checkpoint is saved."""

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Request evaluation or a checkpoint if this step is due for it."""
        if is_eval_step(state.global_step, state.max_steps, self.settings):
            control.should_evaluate = control.should_save = True
        if self.settings.save_steps and state.global_step % self.settings.save_steps == 0:
            control.should_save = True
        return control


class ReorderEpochs(TrainerCallback):
    """Callback that gives each epoch its own order.

    Other random numbers, such as dropout's, continue from the state in the checkpoint.
    """

    def __init__(self, order: EpochOrder | StreamOrder) -> None:
        self.order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Set the order's epoch number."""
        self.order.epoch = int(state.epoch)


def is_eval_step(step: int, steps: int, settings: TrainingSettings) -> bool:
    """Return whether the validation loss is measured after *step* of *steps*.

    It is measured at the end of each epoch, and every ``eval_steps`` steps.
    """
    return step % (steps // settings.num_train_epochs) == 0 or (
        settings.eval_steps is not None and step % settings.eval_steps == 0
    )


def training_arguments(
    recipe: Recipe, work_dir: Path, ranks: Ranks, *, eval_on_start: bool, find_unused_parameters: bool
) -> TrainingArguments:
    """Return transformers' TrainingArguments for *recipe*.

    Args:
        recipe: the training recipe.
        work_dir: the folder of checkpoints.
        ranks: the processes that train together.
        eval_on_start: measure the validation loss before the first step.
        find_unused_parameters: the loss may not depend on all trainable weights.
    """
    settings = recipe.training
    return TrainingArguments(
        output_dir=str(work_dir),
        per_device_train_batch_size=recipe.share_of_batch(ranks.size),
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.num_train_epochs,
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        use_cpu=not torch.cuda.is_available(),
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        seed=settings.seed,
        # `MeasureAndSave` decides when.
        eval_strategy="no",
        save_strategy="no",
        eval_on_start=eval_on_start,
        logging_steps=5,
        # The filter would log a NaN loss as 0.
        logging_nan_inf_filter=False,
        report_to=[],
        remove_unused_columns=False,
        label_names=["labels"],
        ddp_find_unused_parameters=find_unused_parameters,
        disable_tqdm=True,
    )
