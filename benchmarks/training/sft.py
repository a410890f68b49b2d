"""TRL baseline: SFTTrainer, configured to match a recipe of ours."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from datasets import Dataset, Features, Image, Value
from transformers import set_seed
from trl import SFTConfig, SFTTrainer

from snap2caption.datasets.shards import Sample
from snap2caption.post import render
from snap2caption.vlm import VisionLanguageModel
from training.data.collator import SampleCollator
from training.data.samplers import EpochOrder
from training.data.samples import training_prompt
from training.fit.lora import add_adapter
from training.fit.progress import MetricsReporter, Report
from training.recipes.recipe import Recipe
from training.recipes.sections import TrainingSettings

ROW = Features({"image": Image(), "prompt": Value("string"), "completion": Value("string")})


def finetune(
    vlm: VisionLanguageModel,
    train: Sequence[Sample],
    validation: Sequence[Sample],
    recipe: Recipe,
    work_dir: Path,
    report: Report,
    *,
    by_default: bool = False,
) -> Path:
    """Do what `training.fit.finetune.finetune` does, by TRL's SFTTrainer: same arguments, same result.

    With *by_default*, precision and gradient checkpointing are TRL's defaults (1.16: bfloat16 by autocast, and on).

    Rows are a prompt and a completion, so that the loss covers only the answer. They have the order of our trainer,
    so that the losses can be compared. Our adapter and chat template give both the same initial weights and tokens,
    which is checked.
    """
    settings = recipe.training
    if settings.threads:
        torch.set_num_threads(settings.threads)
    set_seed(settings.seed)
    vlm.model = add_adapter(vlm.model, recipe.model.lora)
    collate = SampleCollator(vlm, partial(training_prompt, seed=settings.seed))
    trainer = SFTTrainer(
        model=vlm.model,
        args=_arguments(settings, work_dir, len(train), by_default=by_default),
        train_dataset=_rows(vlm, collate, _in_our_order(train, settings)),
        eval_dataset=_rows(vlm, collate, validation),
        processing_class=vlm.processor,
        callbacks=[MetricsReporter(report)],
    )
    _check_tokens(trainer, collate, train, settings)
    trainer.train()
    adapter = work_dir / "adapter"
    trainer.save_model(str(adapter))
    vlm.model.eval()
    return adapter


def _arguments(settings: TrainingSettings, work_dir: Path, photos: int, *, by_default: bool) -> SFTConfig:
    ours = {
        "bf16": settings.precision == "bfloat16",
        "fp16": settings.precision == "float16",
        # TRL has it on unless told otherwise.
        "activation_checkpointing": settings.gradient_checkpointing,
    }
    epoch = -(-photos // (settings.global_micro_batch_size * settings.gradient_accumulation_steps))
    return SFTConfig(
        output_dir=str(work_dir),
        # The epochs lie one after the other in the data set.
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        per_device_train_batch_size=settings.global_micro_batch_size,
        per_device_eval_batch_size=settings.global_micro_batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation_steps,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="cosine",
        use_cpu=not torch.cuda.is_available(),
        **({} if by_default else ours),
        seed=settings.seed,
        eval_strategy="steps",
        eval_steps=epoch,
        save_strategy="steps",
        save_steps=epoch,
        save_total_limit=2,
        logging_steps=5,
        report_to="none",
        dataloader_pin_memory=False,
        disable_tqdm=True,
        # An image's tokens must not be cut off.
        max_length=None,
    )


def _in_our_order(samples: Sequence[Sample], settings: TrainingSettings) -> list[Sample]:
    order = EpochOrder(
        [len(render(sample.post)) for sample in samples], settings.global_micro_batch_size, settings.seed
    )
    rows = []
    for epoch in range(settings.num_train_epochs):
        order.epoch = epoch
        rows += [samples[index] for index in order]
    return rows


def _rows(vlm: VisionLanguageModel, collate: SampleCollator, samples: Sequence[Sample]) -> Dataset:
    rows: dict[str, list[object]] = {"image": [], "prompt": [], "completion": []}
    for sample in samples:
        prompt = vlm.chat(collate.prompt_for(sample))
        rows["image"].append({"bytes": sample.photo(), "path": None})
        rows["prompt"].append(prompt)
        rows["completion"].append(collate.to_conversation(sample).text.removeprefix(prompt))
    return Dataset.from_dict(rows, features=ROW)


def _check_tokens(
    trainer: SFTTrainer, collate: SampleCollator, samples: Sequence[Sample], settings: TrainingSettings
) -> None:
    theirs = trainer.data_collator([trainer.train_dataset[index] for index in range(settings.global_micro_batch_size)])
    ours = collate(_in_our_order(samples, settings)[: settings.global_micro_batch_size])
    for name in ("input_ids", "labels"):
        if not torch.equal(theirs[name], ours[name]):
            raise SystemExit(f"The two trainers see different {name}.")
