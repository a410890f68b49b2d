"""Dry run: samples, steps, trainable parameters, and estimated memory and time of a recipe, without loading weights."""

from dataclasses import dataclass
from functools import partial
from statistics import fmean

import torch
from pydantic import BaseModel, ConfigDict

from snap2caption.datasets.manifest import Split
from snap2caption.errors import UserError
from snap2caption.settings import Settings
from snap2caption.vlm import VisionLanguageModel, check_4bit, find_revision, load_config, load_processor
from training.data.collator import IGNORED, SampleCollator
from training.data.samples import CachedDataset, SplitSelection, mixed_in, training_prompt
from training.data.validation import check_data
from training.data.vision_features import GIB
from training.fit.trainer import is_eval_step
from training.planning.estimate import BatchShape, FakeTensorModel, measure_throughput
from training.planning.initial_adapter import find_initial_adapter
from training.planning.precision import choose_precision, with_precision
from training.recipes.recipe import Recipe
from training.recipes.sections import Precision

MEASURED_SAMPLES = 32
"""Number of validation samples that are tokenized to estimate sequence lengths."""

USUAL_SHARE = 0.5
"""Fraction of a bare matrix product's throughput that training usually reaches (model FLOPs utilization). 0.3 to 0.7
have been measured; small models reach less.
"""


class DeviceMemory(BaseModel):
    """Peak memory of a device, in GiB; in distributed training each process has its own device."""

    model_config = ConfigDict(frozen=True)

    weights: float
    adapter: float
    activations: float

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return self.weights + self.adapter + self.activations


class TrainingPlan(BaseModel):
    """The result of a dry run. ``hours`` is training time alone, if one ``device`` did all of it."""

    model_config = ConfigDict(frozen=True)

    dataset_version: str
    feedback_version: str | None
    base_revision: str
    initial_run_id: str | None
    inherited_versions: tuple[str, ...]
    precision: Precision
    precision_reason: str
    samples: dict[Split, int]
    feedback_samples: int
    feedback_repeats: float
    tokens: float
    longest: int
    image_tokens: float
    optimizer_steps: int
    max_post_tokens: int
    cut_posts: int
    validation_samples: int
    validations: int
    validation_share: float
    parameters: int
    trainable_parameters: int
    memory_gib: DeviceMemory
    features_gib: float
    petaflops: float
    device: str
    teraflops_per_second: float
    hours: float

    def describe(self) -> str:
        """Return the plan as YAML comments, to print below the recipe."""
        memory = self.memory_gib
        feedback = (
            f"; {self.feedback_samples:,} of feedback {self.feedback_version} in each epoch, "
            f"each {self.feedback_repeats:.1f} times"
            if self.feedback_version
            else ""
        )
        vision = f"cached in {self.features_gib:.2f} GiB of memory" if self.features_gib else "computed in each epoch"
        initial = (
            f"that of run {self.initial_run_id}, which learned from dataset {', '.join(self.inherited_versions)}"
            if self.initial_run_id
            else "a new one"
        )
        lines = [
            f"dataset {self.dataset_version}, base {self.base_revision}",
            f"initial adapter: {initial}",
            f"precision: {self.precision}; {self.precision_reason}",
            f"samples: {', '.join(f'{split} {count:,}' for split, count in self.samples.items())}{feedback}",
            f"tokens per sample: {self.tokens:.0f}, of which {self.image_tokens:.0f} are image tokens; "
            f"the longest sample has {self.longest}",
            f"posts: the model learns at most {self.max_post_tokens} tokens of each; {self.cut_posts:,} are longer, "
            "and the ends of their captions are cut",
            f"optimizer steps: {self.optimizer_steps:,}",
            f"validation: {self.validation_samples:,} photos, {self.validations:,} times: "
            f"{self.validation_share:.0%} of the arithmetic",
            f"trainable parameters: {self.trainable_parameters:,} of {self.parameters + self.trainable_parameters:,}",
            f"memory: {memory.total:.2f} GiB = base {memory.weights:.2f} + adapter {memory.adapter:.2f} + "
            f"activations {memory.activations:.2f}",
            "  (adapter: 16 bytes per weight, with its gradient and AdamW's state in float32; activations: the tensors",
            "  that autograd saves for the longest batch, counted on fake tensors. On a GPU, add 1 GiB for its context",
            "  and a tenth for fragmentation. On a CPU, add up to the activations again, for memory freed late)",
            f"vision features: {vision}",
            f"arithmetic: {self.petaflops:,.3g} PFLOP",
            f"time: {_duration(self.hours)} of training on one device like this machine's ({self.device}: "
            f"{self.teraflops_per_second:.3g} TFLOP/s in a matrix product, of which training reaches about half; "
            "accurate to a factor of two, small models take longer)",
        ]
        return "\n".join(f"# {line}" for line in lines)


def check_model(recipe: Recipe, settings: Settings) -> FakeTensorModel:
    """Check that *recipe* fits its base and this machine, and return the base with its adapter as fake tensors.

    Args:
        recipe: a recipe whose precision has been resolved.
        settings: where bases are.

    Raises:
        UserError: it does not fit.
    """
    base, training = recipe.model.base, recipe.training
    if recipe.model.load_in_4bit:
        check_4bit()
    if training.precision == "float16" and not torch.cuda.is_available():
        raise UserError(
            "training.precision=float16 needs a GPU: on a CPU small gradients would underflow; "
            "set it to float32 or bfloat16."
        )
    model = FakeTensorModel(
        load_config(base, settings.models_dir, recipe.model.revision), recipe.model.lora, training.dtype
    )
    if model.trains_vision and training.feature_cache_gib:
        raise UserError(
            f"model.lora.target_modules trains {model.trains_vision}, so vision features can't be cached; "
            "set training.feature_cache_gib=0."
        )
    return model


def make_plan(recipe: Recipe, settings: Settings) -> TrainingPlan:
    """Return the plan of a training by *recipe*.

    Raises:
        UserError: the recipe does not fit its base or this machine, or its dataset does not exist or is too small.
    """
    choice = choose_precision(recipe)
    recipe = with_precision(recipe, choice.precision)
    dataset = _open(recipe.data.version_uri(), settings)
    feedback = _open(recipe.data.feedback.version_uri(), settings) if recipe.data.feedback else None
    model = check_model(recipe, settings)
    revision = find_revision(recipe.model.base, settings.models_dir, recipe.model.revision)
    collate = collator_without_weights(recipe, settings, model, revision)
    versions = [source.manifest.version for source in (dataset, feedback) if source]
    initial = find_initial_adapter(recipe, settings, versions, revision)
    if initial is not None:
        initial.check(model.model, recipe.model.lora)
    cut = check_data(recipe, dataset, collate, feedback)
    counts = _count(recipe, dataset, feedback)
    lengths = _measure(recipe, dataset, collate, cut=cut)
    training, per_epoch = recipe.training, counts.corpus["train"] + counts.feedback
    features = _features(recipe, model, lengths, per_epoch)
    # Without a number, the launcher starts one process per GPU of a machine that may not be this one.
    share = recipe.share_of_batch((recipe.launcher.processes or 1) * recipe.launcher.nodes)
    longest = BatchShape(share, lengths.longest, lengths.longest_answer, lengths.crops)
    step = model.step(longest, checkpointing=training.gradient_checkpointing)
    vision_passes = 1 if features else training.num_train_epochs
    learning = step.training_flops * lengths.tokens / lengths.longest
    steps = (
        -(-per_epoch // (training.global_micro_batch_size * training.gradient_accumulation_steps))
        * training.num_train_epochs
    )
    measured = sum(is_eval_step(number, steps, training) for number in range(1, steps + 1))
    validation = (
        counts.validation
        / share
        * (
            step.forward_flops * lengths.tokens / lengths.longest * measured
            + step.vision_flops * (1 if features else measured)
        )
    )
    operations = (
        per_epoch / share * (learning * training.num_train_epochs + step.vision_flops * vision_passes) + validation
    )
    if training.threads:
        torch.set_num_threads(training.threads)
    device, speed = measure_throughput(training.dtype)
    return TrainingPlan(
        dataset_version=dataset.manifest.version,
        feedback_version=feedback.manifest.version if feedback else None,
        base_revision=revision,
        initial_run_id=initial.run_id if initial else None,
        inherited_versions=initial.versions if initial else (),
        precision=choice.precision,
        precision_reason=choice.reason,
        samples=counts.corpus,
        feedback_samples=counts.feedback,
        feedback_repeats=counts.feedback / counts.feedback_known if feedback else 0.0,
        tokens=lengths.tokens,
        longest=lengths.longest,
        image_tokens=lengths.image,
        optimizer_steps=steps,
        max_post_tokens=collate.max_post_tokens,
        cut_posts=cut,
        validation_samples=counts.validation,
        validations=measured,
        validation_share=validation / operations,
        parameters=model.parameters,
        trainable_parameters=model.trainable,
        memory_gib=DeviceMemory(
            weights=model.weight_bytes(in_4bit=recipe.model.load_in_4bit) / GIB,
            adapter=model.training_bytes() / GIB,
            activations=step.saved_bytes / GIB,
        ),
        features_gib=features / GIB,
        petaflops=operations / 1e15,
        device=device,
        teraflops_per_second=speed / 1e12,
        hours=operations / (speed * USUAL_SHARE) / 3600,
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    corpus: dict[Split, int]
    feedback: int
    feedback_known: int
    validation: int


@dataclass(frozen=True, slots=True)
class _Lengths:
    """Mean tokens per sample and per image; the longest sample and answer; and the number of crops per image."""

    tokens: float
    image: float
    longest: int
    longest_answer: int
    crops: int


def _open(uri: str, settings: Settings) -> CachedDataset:
    return CachedDataset.open(uri, settings.shards_dir)


def _count(recipe: Recipe, dataset: CachedDataset, feedback: CachedDataset | None) -> _Counts:
    data = recipe.data
    corpus = {
        split: sum(SplitSelection(split, data.cities, data.samples_per_city).quotas(dataset.manifest).values())
        for split in dataset.manifest.splits
    }
    if not corpus.get("train"):
        raise UserError(f"The train split of dataset {dataset.manifest.version} is empty; make a larger dataset.")
    validation = min(corpus["validation"], data.max_validation_samples or corpus["validation"])
    if feedback is None or data.feedback is None:
        return _Counts(corpus, 0, 0, validation)
    known = sum(SplitSelection("train").quotas(feedback.manifest).values())
    return _Counts(corpus, mixed_in(corpus["train"], data.feedback.share), known, validation)


def collator_without_weights(
    recipe: Recipe, settings: Settings, model: FakeTensorModel, revision: str
) -> SampleCollator:
    """Return a collator that tokenizes as training does, for a *model* without weights.

    It uses the base's own processor.
    """
    base, split_images = recipe.model.base, recipe.model.do_image_splitting
    processor = load_processor(base, settings.models_dir, revision=revision, split_images=split_images)
    vlm = VisionLanguageModel(model.model, processor, base, revision)
    return SampleCollator(vlm, partial(training_prompt, seed=recipe.training.seed), recipe.data.max_post_tokens)


def _measure(recipe: Recipe, dataset: CachedDataset, collate: SampleCollator, *, cut: int) -> _Lengths:
    """Tokenize some samples of the validation split, which training reads as well.

    If posts are *cut*, the longest sample is as long as one may be.
    """
    cities = recipe.data.cities or tuple(dataset.manifest.splits["validation"].cities)
    samples = dataset.samples("validation", recipe.data.cities, -(-MEASURED_SAMPLES // len(cities)))
    batches = [collate([sample]) for sample in samples[:MEASURED_SAMPLES]]
    tokens = [batch["input_ids"].shape[1] for batch in batches]
    answers = [int((batch["labels"] != IGNORED).sum()) for batch in batches]
    longest = max(max(answers), collate.max_post_tokens + 1 if cut else 0)
    return _Lengths(
        tokens=fmean(tokens),
        image=fmean(int((batch["input_ids"] == collate.vlm.processor.image_token_id).sum()) for batch in batches),
        longest=max(tokens) - max(answers) + longest,
        longest_answer=longest,
        crops=max(batch["pixel_values"].shape[:-3].numel() for batch in batches),
    )


def _features(recipe: Recipe, model: FakeTensorModel, lengths: _Lengths, samples: int) -> float:
    """Return the bytes of the cached vision features.

    It is 0 if images are streamed, the vision tower is trained, or the features do not fit.
    """
    width = model.config.get_text_config().hidden_size
    size = lengths.image * samples * width * model.dtype.itemsize
    kept = not recipe.data.stream and size <= recipe.training.feature_cache_gib * GIB
    return size if kept else 0.0


def _duration(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.0f} min" if hours < 2 else f"{hours:,.1f} h"
