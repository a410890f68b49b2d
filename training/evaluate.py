"""Evaluation: what a model writes for the photos of a split, beside what people wrote."""

import platform
import random
import statistics
import time
from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict

from snap2caption.console import progress_bar
from snap2caption.images import decode
from snap2caption.manifest import Split
from snap2caption.post import render
from snap2caption.shards import Sample
from snap2caption.vlm import Decoding, Generated, VisionLanguageModel
from training.collate import SampleCollator
from training.data import CachedDataset, chunks, evaluation_prompt
from training.loss import mean_answer_loss
from training.metrics import Comparison, Scores
from training.recipe import EvaluationSettings


class _Model(BaseModel):
    # A NaN must survive being stored, so that the gate sees it.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class Conditions(_Model):
    """What two evaluations must share to be compared."""

    dataset_version: str
    split: Split
    cities: tuple[str, ...]
    settings: EvaluationSettings
    device: str


class Row(_Model):
    """One photo: what the model wrote, what a person wrote."""

    id: str
    city: str
    hypothesis: str
    reference: str
    tokens: int
    cider: float


class Evaluation(_Model):
    """A model's scores. ``loss`` is in nats a token; ``seconds_per_caption`` is the median over the batches."""

    model: str
    conditions: Conditions
    loss: float
    tokens: float
    seconds_per_caption: float
    overall: Scores
    cities: dict[str, Scores]
    rows: tuple[Row, ...]

    def metrics(self) -> dict[str, float]:
        """Return the numbers by name, a city's under ``city/<city>/``."""
        split = self.conditions.split
        found = {f"{split}/loss": self.loss, f"{split}/tokens": self.tokens}
        found[f"{split}/seconds_per_caption"] = self.seconds_per_caption
        found |= {f"{split}/{name}": value for name, value in self.overall.metrics().items()}
        for city, scores in self.cities.items():
            found |= {f"city/{city}/{name}": value for name, value in scores.metrics().items()}
        return found


def conditions_of(dataset: CachedDataset, cities: Sequence[str], settings: EvaluationSettings) -> Conditions:
    """Return what an evaluation here and now would be measured under."""
    device = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return Conditions(
        dataset_version=dataset.manifest.version,
        split=settings.split,
        cities=tuple(sorted(cities)),
        settings=settings,
        device=device,
    )


def evaluate(vlm: VisionLanguageModel, dataset: CachedDataset, conditions: Conditions, name: str) -> Evaluation:
    """Let *vlm* write a caption for each photo, greedily, in the tone of the photo's own caption, and score what it wrote.

    Args:
        vlm: the model.
        dataset: where the photos and their captions are.
        conditions: which of them, and how to write.
        name: what to call the model in the evaluation.
    """
    settings = conditions.settings
    everything = dataset.samples(conditions.split, conditions.cities)
    samples = everything
    if settings.max_samples is not None and settings.max_samples < len(everything):
        samples = random.Random(0).sample(everything, settings.max_samples)  # noqa: S311 - not a secret
    written, seconds = write_captions(vlm, samples, settings)
    comparison = Comparison(
        {sample.id: answer.text for sample, answer in zip(samples, written, strict=True)},
        {sample.id: [render(sample.post)] for sample in everything},
    )
    collate = SampleCollator(vlm, evaluation_prompt)
    return Evaluation(
        model=name,
        conditions=conditions,
        loss=mean_answer_loss(vlm.model, (collate(chunk) for chunk in chunks(samples, settings.batch_size))),
        tokens=statistics.fmean(answer.tokens for answer in written),
        seconds_per_caption=seconds,
        overall=comparison.scores(),
        cities={
            city: comparison.scores([sample.id for sample in samples if sample.city == city])
            for city in sorted({sample.city for sample in samples})
        },
        rows=tuple(
            Row(
                id=sample.id,
                city=sample.city,
                hypothesis=answer.text,
                reference=render(sample.post),
                tokens=answer.tokens,
                cider=comparison.cider[sample.id],
            )
            for sample, answer in zip(samples, written, strict=True)
        ),
    )


def write_captions(
    vlm: VisionLanguageModel, samples: Sequence[Sample], settings: EvaluationSettings
) -> tuple[list[Generated], float]:
    """Return what *vlm* writes for each sample, and the seconds a caption takes (median over the batches)."""
    decoding = Decoding(max_new_tokens=settings.max_new_tokens)
    written: list[Generated] = []
    seconds: list[float] = []
    with progress_bar() as progress:
        task = progress.add_task("writing captions", total=len(samples))
        for chunk in chunks(samples, settings.batch_size):
            photos = [decode(sample.photo()) for sample in chunk]
            prompts = [evaluation_prompt(sample) for sample in chunk]
            start = time.perf_counter()
            written += vlm.generate(photos, prompts, decoding)
            seconds.append((time.perf_counter() - start) / len(chunk))
            progress.update(task, advance=len(chunk))
    return written, statistics.median(seconds)
