"""Evaluation: a model captions the photos of a split, and is scored against the people's captions."""

import platform
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import ValidationError

from snap2caption.command_line.console import progress_bar
from snap2caption.datasets.manifest import Split
from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.formats.documents import ScoreDocument
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
"""Version of the measurement. It is raised whenever the same model would get different scores, so that stored
evaluations are measured again.
"""


class EvaluationConditions(ScoreDocument):
    """Conditions that two evaluations must share to be comparable."""

    dataset_version: str
    split: Split
    cities: tuple[str, ...]
    settings: EvaluationSettings
    device: str
    precision: Precision
    """The precision that the model was loaded in."""
    method: int = METHOD


class EvaluationRow(ScoreDocument):
    """One photo with the model's caption and a person's."""

    id: str
    city: str
    tone: Tone
    """The requested tone."""
    hypothesis: str
    reference: str
    tokens: int
    cider: float
    faults: tuple[FormatViolation, ...]
    group: str
    """Name of the photo's group; photos in different groups are independent of each other."""


class Evaluation(ScoreDocument):
    """A model's scores.

    ``loss`` is in nats per token. ``seconds_per_caption`` is the median over the batches; the other speeds are over
    all of them.
    """

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
    """The bootstrap settings of the scores' intervals."""
    rows: tuple[EvaluationRow, ...]

    @classmethod
    def read(cls, stored: bytes) -> "Evaluation | None":
        """Return an evaluation stored as JSON, or None if it was written by an earlier version of this code."""
        try:
            return cls.model_validate_json(stored)
        except ValidationError:
            return None

    def without_words(self) -> "Evaluation":
        """Return the scores without captions.

        Creators' words are not kept with a run, where no erasure request finds them.
        """
        bare = (row.model_copy(update={"hypothesis": "", "reference": ""}) for row in self.rows)
        return self.model_copy(update={"rows": tuple(bare)})

    def metrics(self) -> dict[str, float]:
        """Return the scores by name.

        A city's scores are under ``city/<city>/``, a tone's under ``tone/<tone>/`` and the references' under
        ``<split>/people/``.
        """
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
    """A model's captions, in the order of the samples, and for each batch its number of captions and its seconds."""

    written: list[Generated]
    batches: list[tuple[int, float]]


def conditions_of(
    dataset: CachedDataset, cities: Sequence[str], settings: EvaluationSettings, precision: Precision
) -> EvaluationConditions:
    """Return the conditions of an evaluation on this machine, with the model in *precision*."""
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
    extra_references: Sequence[Sample] = (),
) -> Evaluation:
    """Caption each photo with *vlm*, greedily, in the tone of the photo's own caption, and score the captions.

    Args:
        vlm: the model.
        dataset: the photos and their captions.
        conditions: which of them to use, and how to generate.
        name: the model's name in the evaluation.
        extra_references: samples of another dataset whose captions count in CIDEr's document frequencies too. In a few
            captions that share a phrase, no phrase would be rare.

    Raises:
        UserError: a batch does not fit into the device's memory.
    """
    settings = conditions.settings
    everything = dataset.samples(conditions.split, conditions.cities)
    samples = everything
    if settings.max_samples is not None and settings.max_samples < len(everything):
        samples = random.Random(0).sample(everything, settings.max_samples)  # noqa: S311 - not a secret
    everything = [*extra_references, *everything]
    collate = SampleCollator(vlm, evaluation_prompt)
    by_length = sorted(samples, key=lambda sample: len(render(sample.post)))
    try:
        answers = write_captions(vlm, samples, settings)
        loss = mean_answer_loss(vlm.model, (collate(chunk) for chunk in chunks(by_length, settings.batch_size)))
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"A batch of {settings.batch_size} photos does not fit into the memory of {conditions.device}; "
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
    """Score a model's captions.

    Args:
        name: the model's name.
        conditions: the conditions of the evaluation.
        everything: the samples of the whole split, whose captions give CIDEr's document frequencies.
        samples: the captioned samples.
        answers: the model's captions, in the order of *samples*.
        loss: the model's loss.
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
    """Return the caption that *vlm* generates for each sample. Only one batch of photos is decoded at a time."""
    decoding = Decoding(max_new_tokens=settings.max_new_tokens)
    written: dict[int, Generated] = {}
    batches: list[tuple[int, float]] = []
    with progress_bar() as progress:
        task = progress.add_task("writing captions", total=len(samples))
        for batch in chunks(order_for_batching(samples), settings.batch_size):
            photos = [decode(samples[position].photo()) for position in batch]
            prompts = [evaluation_prompt(samples[position]) for position in batch]
            start = time.perf_counter()
            written |= zip(batch, vlm.generate(photos, prompts, decoding), strict=True)
            batches.append((len(batch), time.perf_counter() - start))
            progress.update(task, advance=len(batch))
    return GeneratedCaptions([written[position] for position in range(len(samples))], batches)


def order_for_batching(samples: Sequence[Sample]) -> list[int]:
    """Return the positions of *samples* in an order that wastes little computation in a batch.

    Photos of the same size come together, and within them prompts of the same tone: the former have the same number
    of image tokens, the latter get answers of similar length, and a batch takes as long as its longest sequence.
    Large photos come first, so that a lack of memory shows at once.
    """

    def key(position: int) -> tuple[int, int, str]:
        width, height = dimensions(samples[position].photo())
        return -width * height, width, evaluation_prompt(samples[position])

    return sorted(range(len(samples)), key=key)
