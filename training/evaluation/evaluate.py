"""Evaluation: what a model writes for the photos of a split, beside what people wrote."""

import platform
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import ValidationError

from snap2caption.console import progress_bar
from snap2caption.datasets.manifest import Split
from snap2caption.datasets.shards import Sample
from snap2caption.documents import ScoreDocument
from snap2caption.errors import UserError
from snap2caption.images import decode, dimensions
from snap2caption.post import Tone, render
from snap2caption.tone import infer_tone
from snap2caption.vlm import Decoding, Generated, VisionLanguageModel
from training.data.collator import SampleCollator
from training.data.samples import CachedDataset, chunks, evaluation_prompt
from training.evaluation.bootstrap import BOOTSTRAP, Bootstrap
from training.evaluation.format_checks import FormatViolation, find_faults
from training.evaluation.metrics import Comparison, ReferenceScores
from training.fit.loss import mean_answer_loss
from training.recipes.sections import EvaluationSettings, Precision

METHOD = 6
"""Raised whenever the same model would get other numbers than before, so that what was stored is measured anew."""


class EvaluationConditions(ScoreDocument):
    """What two evaluations must share to be compared."""

    dataset_version: str
    split: Split
    cities: tuple[str, ...]
    settings: EvaluationSettings
    device: str
    precision: Precision
    """That the model was loaded in."""
    method: int = METHOD


class EvaluationRow(ScoreDocument):
    """One photo: what the model wrote, what a person wrote."""

    id: str
    city: str
    tone: Tone
    """The tone that was asked for."""
    hypothesis: str
    reference: str
    tokens: int
    cider: float
    faults: tuple[FormatViolation, ...]
    group: str
    """A name that it shares with the photos that are not independent of it, and with no others."""


class Evaluation(ScoreDocument):
    """A model's scores. ``loss`` is in nats a token; ``seconds_per_caption`` is the median over the batches, the other speeds are over all."""

    model: str
    conditions: EvaluationConditions
    loss: float
    tokens: float
    seconds_per_caption: float
    captions_per_second: float
    tokens_per_second: float
    overall: ReferenceScores
    cities: dict[str, ReferenceScores]
    tones: dict[Tone, ReferenceScores]
    bootstrap: Bootstrap = BOOTSTRAP
    """How the intervals of the scores were made."""
    rows: tuple[EvaluationRow, ...]

    @classmethod
    def read(cls, stored: bytes) -> "Evaluation | None":
        """Return an evaluation that was stored as JSON, or None if an earlier version of this code made it, which measured otherwise."""
        try:
            return cls.model_validate_json(stored)
        except ValidationError:
            return None

    def without_words(self) -> "Evaluation":
        """Return the scores without what anybody wrote: of creators' photos no words are kept where no erasure finds them."""
        bare = (row.model_copy(update={"hypothesis": "", "reference": ""}) for row in self.rows)
        return self.model_copy(update={"rows": tuple(bare)})

    def metrics(self) -> dict[str, float]:
        """Return the numbers by name: a city's under ``city/<city>/``, a tone's under ``tone/<tone>/``, the references' under ``<split>/people/``."""
        split = self.conditions.split
        names = ("loss", "seconds_per_caption", "captions_per_second", "tokens_per_second")
        found = {f"{split}/{name}": float(getattr(self, name)) for name in names}
        found |= {f"{split}/people/{name}": float(value) for name, value in self.overall.people}
        found |= _metrics(split, self.overall, self.rows)
        for city, scores in self.cities.items():
            found |= _metrics(f"city/{city}", scores, [row for row in self.rows if row.city == city])
        for tone, scores in self.tones.items():
            found |= _metrics(f"tone/{tone}", scores, [row for row in self.rows if row.tone == tone])
        return found


def _metrics(prefix: str, scores: ReferenceScores, rows: Sequence[EvaluationRow]) -> dict[str, float]:
    named = scores.metrics() | {"tokens": statistics.fmean(row.tokens for row in rows)}
    return {f"{prefix}/{name}": value for name, value in named.items()}


@dataclass(frozen=True, slots=True)
class GeneratedCaptions:
    """What a model wrote, in the order of the samples, and how long each batch took: its captions, its seconds."""

    written: list[Generated]
    batches: list[tuple[int, float]]


def conditions_of(
    dataset: CachedDataset, cities: Sequence[str], settings: EvaluationSettings, precision: Precision
) -> EvaluationConditions:
    """Return what an evaluation here and now, of a model in *precision*, would be measured under."""
    device = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    return EvaluationConditions(
        dataset_version=dataset.manifest.version,
        split=settings.split,
        cities=tuple(sorted(cities)),
        settings=settings,
        device=device,
        precision=precision,
    )


def evaluate(
    vlm: VisionLanguageModel,
    dataset: CachedDataset,
    conditions: EvaluationConditions,
    name: str,
    beside: Sequence[Sample] = (),
) -> Evaluation:
    """Let *vlm* write a caption for each photo, greedily, in the tone of the photo's own caption, and score what it wrote.

    Args:
        vlm: the model.
        dataset: where the photos and their captions are.
        conditions: which of them, and how to write.
        name: what to call the model in the evaluation.
        beside: samples of another dataset whose captions count in CIDEr's document frequencies too: among a few that share a phrase, no
            phrase would be rare.

    Raises:
        UserError: a batch does not fit into the device's memory.
    """
    settings = conditions.settings
    everything = dataset.samples(conditions.split, conditions.cities)
    samples = everything
    if settings.max_samples is not None and settings.max_samples < len(everything):
        samples = random.Random(0).sample(everything, settings.max_samples)  # noqa: S311 - not a secret
    everything = [*beside, *everything]
    collate = SampleCollator(vlm, evaluation_prompt)
    by_length = sorted(samples, key=lambda sample: len(render(sample.post)))
    try:
        answers = write_captions(vlm, samples, settings)
        loss = mean_answer_loss(vlm.model, (collate(chunk) for chunk in chunks(by_length, settings.batch_size)))
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{settings.batch_size} photos at once do not fit into the memory of {conditions.device}; "
            "lower evaluation.batch_size (--batch-size)."
        ) from error
    return assess(name, conditions, everything, samples, answers, loss)


def assess(
    name: str,
    conditions: EvaluationConditions,
    everything: Sequence[Sample],
    samples: Sequence[Sample],
    answers: GeneratedCaptions,
    loss: float,
) -> Evaluation:
    """Score what a model wrote.

    Args:
        name: what to call the model.
        conditions: what it was measured under.
        everything: the samples of the whole split, whose captions make the document frequencies of CIDEr.
        samples: those that it wrote for.
        answers: what it wrote, in the order of *samples*.
        loss: its loss.
    """
    tones = {sample.id: infer_tone(sample.post.caption) for sample in samples}
    written = dict(zip(tones, answers.written, strict=True))
    comparison = Comparison(
        {key: answer.raw for key, answer in written.items()},
        {sample.id: [render(sample.post)] for sample in everything},
        tones,
        {sample.id: sample.cluster for sample in samples},
    )
    tokens = [answer.tokens for answer in answers.written]
    seconds = sum(batch_seconds for _, batch_seconds in answers.batches)
    return Evaluation(
        model=name,
        conditions=conditions,
        loss=loss,
        tokens=statistics.fmean(tokens),
        seconds_per_caption=statistics.median(took / captions for captions, took in answers.batches),
        captions_per_second=len(tokens) / seconds,
        tokens_per_second=sum(tokens) / seconds,
        overall=comparison.scores(),
        cities=comparison.scores_by({sample.id: sample.city for sample in samples}),
        tones=comparison.scores_by(tones),
        rows=tuple(
            EvaluationRow(
                id=sample.id,
                group=sample.cluster,
                city=sample.city,
                tone=tones[sample.id],
                hypothesis=written[sample.id].text,
                reference=render(sample.post),
                tokens=written[sample.id].tokens,
                cider=comparison.cider[sample.id],
                faults=find_faults(written[sample.id].raw, evaluation_prompt(sample)),
            )
            for sample in samples
        ),
    )


def write_captions(
    vlm: VisionLanguageModel, samples: Sequence[Sample], settings: EvaluationSettings
) -> GeneratedCaptions:
    """Return what *vlm* writes for each sample. Photos are decoded batch by batch, and let go of."""
    decoding = Decoding(max_new_tokens=settings.max_new_tokens)
    written: dict[int, Generated] = {}
    batches: list[tuple[int, float]] = []
    with progress_bar() as progress:
        task = progress.add_task("writing captions", total=len(samples))
        for batch in chunks(alike(samples), settings.batch_size):
            photos = [decode(samples[position].photo()) for position in batch]
            prompts = [evaluation_prompt(samples[position]) for position in batch]
            start = time.perf_counter()
            written |= zip(batch, vlm.generate(photos, prompts, decoding), strict=True)
            batches.append((len(batch), time.perf_counter() - start))
            progress.update(task, advance=len(batch))
    return GeneratedCaptions([written[position] for position in range(len(samples))], batches)


def alike(samples: Sequence[Sample]) -> list[int]:
    """Return the positions of *samples* in an order in which batches waste little: photos of a size beside each other, prompts of a tone within.

    Photos of a size are as many image tokens, and answers in a tone are of like length; a batch takes as long as its longest. Large photos
    come first, so that memory that does not suffice shows at once.
    """

    def key(position: int) -> tuple[int, int, str]:
        width, height = dimensions(samples[position].photo())
        return -width * height, width, evaluation_prompt(samples[position])

    return sorted(range(len(samples)), key=key)
