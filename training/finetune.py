"""The fine-tuning loop: transformers' Trainer over a base model with a LoRA adapter.

Why the Trainer: checkpoints with optimiser and random state, accumulation, mixed precision, gradient checkpointing and several processes come
with it. On the demo model, whose steps are the shortest, its CPU time differs from that of a bare loop by less than the noise.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import torch
from torch.utils.data import DataLoader, Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from snap2caption.console import progress_bar
from snap2caption.errors import UserError
from snap2caption.post import render
from snap2caption.shards import Sample
from snap2caption.vlm import VisionLanguageModel
from training.collate import Batch, EncodedCollator, SampleCollator
from training.data import chunks, training_prompt
from training.features import cacheable, check_image_tokens, encode
from training.lora import add_adapter
from training.loss import answer_loss, mean_answer_loss
from training.recipe import OptimiserSettings, Recipe
from training.stream import ByPosition, SampleStream, StreamOrder

logger = logging.getLogger(__name__)

COMPLETE = "complete"
"""The file that marks a checkpoint as wholly written."""

Report = Callable[[dict[str, float], int], None]
"""Takes metrics and the optimiser step that they belong to."""


class StoppedError(UserError):
    """Training was asked to stop, and has saved a checkpoint."""


def finetune(
    vlm: VisionLanguageModel,
    train: Sequence[Sample] | SampleStream,
    validation: Sequence[Sample],
    recipe: Recipe,
    work_dir: Path,
    report: Report,
) -> Path:
    """Train an adapter on *vlm*, which carries it afterwards, and save it.

    Args:
        vlm: the untouched base.
        train: what to learn from; a stream is read anew in each epoch, and nothing of it kept.
        validation: what the loss after each epoch is measured on.
        recipe: how.
        work_dir: where the checkpoints are; if it holds one, training goes on from there, to the same result.
        report: is told of each metric as it comes.

    Returns:
        The adapter's folder.

    Raises:
        UserError: the recipe does not fit the model.
        StoppedError: SIGTERM came.
    """
    settings = recipe.optimiser
    make_deterministic(settings)
    collate = SampleCollator(vlm, partial(training_prompt, seed=settings.seed))
    check_image_tokens(vlm, collate, validation[0])
    vlm.model = add_adapter(vlm.model, recipe.model.lora)
    arguments = _arguments(settings, work_dir)
    order: EpochOrder | StreamOrder
    if isinstance(train, SampleStream):
        stream = train.for_rank(arguments.process_index, arguments.world_size)
        order = StreamOrder(stream)
        rows = _Rows(ByPosition(stream), validation, collate)
    else:
        order = EpochOrder([len(render(sample.post)) for sample in train], settings.batch_size, settings.seed)
        rows = _look_once(vlm, collate, train, validation, settings)
    stop = StopOnSignal()
    trainer = AnswerTrainer(
        model=vlm.model,
        args=arguments,
        train_dataset=rows.train,
        eval_dataset=rows.validation,
        data_collator=rows.collate,
        order=order,
        callbacks=[ReorderEpochs(order), Reporter(report), stop, ProgressBar()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    with stop:
        trainer.train(resume_from_checkpoint=last_checkpoint(work_dir))
    if stop.asked:
        raise StoppedError("Training was stopped and has saved a checkpoint; the same command goes on from there.")
    vlm.model.eval()
    adapter = work_dir / "adapter"
    vlm.save_adapter(adapter)
    return adapter


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the Trainer reads, and how batches are made of it."""

    train: Any
    validation: Sequence[Any]
    collate: Callable[..., Batch]


def _look_once(
    vlm: VisionLanguageModel,
    collate: SampleCollator,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    settings: OptimiserSettings,
) -> _Rows:
    """Return the samples with their pictures' features if those can be kept, else the samples as they are."""
    if not cacheable(vlm, collate, train, settings.feature_cache_gib):
        return _Rows(train, validation, collate)
    return _Rows(
        encode(vlm, collate, train, settings.batch_size),
        encode(vlm, collate, validation, settings.batch_size),
        EncodedCollator(vlm.processor.tokenizer.pad_token_id),
    )


def make_deterministic(settings: OptimiserSettings) -> None:
    """Make the same seed give the same numbers."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # It would fill the memory of every result with NaN first, in case an operation reads what it did not write.
    torch.utils.deterministic.fill_uninitialized_memory = False
    set_seed(settings.seed)


def last_checkpoint(work_dir: Path) -> str | None:
    """Return the folder of the last checkpoint that was wholly written, or None."""
    found = [marker.parent for marker in work_dir.glob(f"checkpoint-*/{COMPLETE}")]
    return str(max(found, key=lambda folder: int(folder.name.rpartition("-")[2]))) if found else None


class EpochOrder(Sampler[int]):
    """The order of the samples: another one in each epoch, that depends on the seed and the epoch's number alone.

    *lengths* are the samples', in any unit. Samples of like length come together, so that little is computed on padding: random pools of
    `POOL` batches are sorted by length, and the batches then shuffled.
    """

    POOL = 8

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator).tolist()
        pools = chunks(order, self.POOL * self.batch_size)
        by_length = [index for pool in pools for index in sorted(pool, key=lambda index: self.lengths[index])]
        batches = list(chunks(by_length, self.batch_size))
        # The last one may be smaller, and then must stay the last one: the loader counts batches off.
        full = len(self.lengths) // self.batch_size
        shuffled = torch.randperm(full, generator=generator).tolist()
        return iter([index for number in [*shuffled, *range(full, len(batches))] for index in batches[number]])


class AnswerTrainer(Trainer):
    """A Trainer whose loss is the mean over the answers' tokens of a whole optimiser step, however it is cut into batches."""

    def __init__(self, *, order: EpochOrder | StreamOrder, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.order = order
        # Ours is normalised over the step: the Trainer must not divide it by the accumulation steps again.
        self.model_accepts_loss_kwargs = True

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,  # noqa: ARG002 - the Trainer's own signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the batch's share of the step's mean loss."""
        loss, tokens = answer_loss(model, inputs)
        return loss / (tokens if num_items_in_batch is None else num_items_in_batch)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measure the validation loss."""
        batches = DataLoader(
            self.eval_dataset,
            batch_size=self.args.eval_batch_size,
            collate_fn=self.data_collator,
            # Its own, as it would draw from the training's random numbers otherwise.
            generator=torch.Generator(),
        )
        metrics = {"eval_loss": mean_answer_loss(self.model, batches)}
        self.log(metrics)
        return metrics

    def get_train_dataloader(self) -> DataLoader:
        """Return the batches of an epoch. A stream gives each process its own: the Trainer must not divide them again."""
        if isinstance(self.order, EpochOrder):
            return super().get_train_dataloader()
        return DataLoader(
            self.train_dataset,
            batch_size=self._train_batch_size,
            sampler=self.order,
            collate_fn=self.data_collator,
            generator=torch.Generator(),
        )

    def _get_train_sampler(self, *_: Any, **__: Any) -> EpochOrder | StreamOrder:
        return self.order

    def _save_checkpoint(self, *arguments: Any, **named: Any) -> None:
        super()._save_checkpoint(*arguments, **named)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        os.sync()
        (folder / COMPLETE).touch()


class ReorderEpochs(TrainerCallback):
    """Gives each epoch its own order. Other random numbers, dropout's, go on from the state that a checkpoint holds."""

    def __init__(self, order: EpochOrder | StreamOrder) -> None:
        self.order = order

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Set the order by the number of the epoch."""
        self.order.epoch = int(state.epoch)


class Reporter(TrainerCallback):
    """Hands the Trainer's metrics on under our names."""

    NAMES: ClassVar = {"loss": "train/loss", "eval_loss": "validation/loss", "learning_rate": "train/learning_rate"}

    def __init__(self, report: Report) -> None:
        self.report = report

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        """Pass on what is ours."""
        metrics = {self.NAMES[name]: value for name, value in logs.items() if name in self.NAMES}
        if metrics:
            self.report(metrics, state.global_step)


class ProgressBar(TrainerCallback):
    """Shows the steps on standard error."""

    def __init__(self) -> None:
        self.progress = progress_bar()
        self.task = self.progress.add_task("training", total=None)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Draw the bar."""
        self.progress.update(self.task, total=state.max_steps, completed=state.global_step)
        self.progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Advance it."""
        self.progress.update(self.task, completed=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Leave it as it is."""
        self.progress.stop()


class StopOnSignal(TrainerCallback):
    """Lets the step in progress end when SIGTERM comes, saves a checkpoint, and stops. A context: it puts the old handler back."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> None:
        # Handlers belong to the main thread; elsewhere whoever runs us handles signals.
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGTERM, self._ask)

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.before)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Save and stop if asked to."""
        if self.asked:
            control.should_save = True
            control.should_training_stop = True
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        """Don't measure the validation loss in the middle of an epoch, nor save twice: who stops us may not wait."""
        if self.asked:
            control.should_evaluate = False
            control.should_save = False
        return control

    def _ask(self, _: int, __: FrameType | None) -> None:
        logger.info("asked to stop: saving a checkpoint")
        self.asked = True


def _arguments(settings: OptimiserSettings, work_dir: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work_dir),
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.epochs,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        use_cpu=not torch.cuda.is_available(),
        bf16=settings.precision == "bfloat16",
        fp16=settings.precision == "float16",
        activation_checkpointing=settings.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        seed=settings.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        # Two: the last one may be half written when we are killed.
        save_total_limit=2,
        logging_steps=5,
        report_to=[],
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
