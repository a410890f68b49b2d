"""Evaluation report: one HTML page with scores and sample captions, the counterpart of a dataset's data card."""

import base64
import io
import math
import random
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader

from snap2caption.datasets.shards import Sample
from snap2caption.errors import UserError
from snap2caption.images import decode
from snap2caption.registry.verdict import ComparedScore
from snap2caption.text.segmentation import fold_words
from training.evaluation.bootstrap import MIN_CLUSTERS, Interval, ResamplingClusters
from training.evaluation.evaluate import Evaluation, EvaluationRow
from training.evaluation.metrics import ReferenceScores

REPORT = "report.html"
"""Name of the run's artifact."""

SHOWN = 6
"""Photos per gallery."""

_THUMBNAIL = 180
_BINS = 24

_MEASURES = {
    "cider": "CIDEr-D",
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "hashtag_precision": "hashtags: precision",
    "hashtag_recall": "hashtags: recall",
    "hashtag_f1": "hashtags: F1",
    "hashtags_valid": "at least one valid hashtag",
    "format_valid": "valid posts",
    "tone_adherence": "in the requested tone",
    "tone_chance": "… by chance",
    "length": "words",
    "distinct_1": "distinct words",
    "distinct_2": "distinct pairs of words",
}
_IN_A_GROUP = ("cider", "bleu_4", "rouge_l", "hashtag_f1", "format_valid", "tone_adherence", "length")
_OF_THE_WHOLE = {
    "loss": "loss, nats per token",
    "tokens": "tokens",
    "seconds_per_caption": "seconds per caption",
    "captions_per_second": "captions per second",
    "tokens_per_second": "tokens per second",
}


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The model to compare with, and its display name (``champion v3``, ``base``)."""

    name: str
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class _Series:
    """One of a histogram's two series: its name, and the height of each bin as a share of the highest bin of both."""

    name: str
    heights: list[float]


@dataclass(frozen=True, slots=True)
class _ReportPhoto:
    """A photo with the captions generated for it."""

    row: EvaluationRow
    photo: str
    incumbent: EvaluationRow | None


def render_report(
    evaluation: Evaluation,
    samples: Sequence[Sample],
    incumbent: Incumbent | None = None,
    on_feedback: Sequence[ComparedScore] = (),
) -> str:
    """Return the HTML page: self-contained, without scripts, and deterministic.

    Args:
        evaluation: the model's evaluation.
        samples: the samples with the photos of its rows.
        incumbent: the model to compare with, evaluated on the same samples; None to show the model alone.
        on_feedback: scores of both models on held-out feedback.
    """
    template = Environment(autoescape=True, loader=PackageLoader(__package__, ".")).get_template("report.html.j2")
    other = incumbent.evaluation if incumbent else None
    theirs = {row.id: row for row in other.rows} if other else {}
    return template.render(
        evaluation=evaluation,
        incumbent=incumbent,
        on_feedback=on_feedback,
        gain=_gain(evaluation, theirs),
        groups_of_photos=len({row.group for row in evaluation.rows}),
        fewest=MIN_CLUSTERS,
        summary=list(_summary(evaluation, other)),
        measures=[(name, _MEASURES[name]) for name in _IN_A_GROUP],
        groups=[
            ("city", evaluation.cities, other.cities if other else {}),
            ("tone", evaluation.tones, other.tones if other else {}),
        ],
        histograms=list(_histograms(evaluation, incumbent)),
        faults=Counter(fault.value.replace("_", " ") for row in evaluation.rows for fault in row.faults).most_common(),
        galleries=_galleries(evaluation.rows, theirs, {sample.id: sample for sample in samples}),
        thumbnail=_THUMBNAIL,
        number=_number,
    )


def save_report(path: Path, page: str) -> None:
    """Write the page to *path* atomically.

    Raises:
        UserError: the file can't be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise UserError(f"The report can't be written to {path} ({error.strerror}); name another file.") from error
    finally:
        part.unlink(missing_ok=True)


def _gain(evaluation: Evaluation, theirs: Mapping[str, EvaluationRow]) -> Interval | None:
    """Return the interval of the mean CIDEr gain over another model's rows, paired by photo."""
    rows = [row for row in evaluation.rows if row.id in theirs]
    if not rows:
        return None
    gains = np.array([row.cider - theirs[row.id].cider for row in rows])
    return evaluation.bootstrap.mean(gains, ResamplingClusters.named([row.group for row in rows]))


def _summary(evaluation: Evaluation, other: Evaluation | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of the summary table: the scores of the model, of the incumbent and of people."""
    for name, label in _MEASURES.items():
        yield {
            "label": label,
            "columns": [_valued(evaluation.overall, name), _valued(other.overall, name) if other else None],
            "people": getattr(evaluation.overall.people, name, None),
        }
    for name, label in _OF_THE_WHOLE.items():
        values = [(getattr(found, name), None) if found else None for found in (evaluation, other)]
        yield {"label": label, "columns": values, "people": None}


def _valued(scores: ReferenceScores, name: str) -> tuple[float, Interval | None]:
    return getattr(scores, name), scores.intervals.get(name)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "not a number"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _histograms(evaluation: Evaluation, incumbent: Incumbent | None) -> Iterator[dict[str, Any]]:
    rows = evaluation.rows
    ciders = [("model", [row.cider for row in rows])]
    if incumbent:
        ciders.append((incumbent.name, [row.cider for row in incumbent.evaluation.rows]))
    words = [
        ("model", [float(len(fold_words(row.hypothesis))) for row in rows]),
        ("people", [float(len(fold_words(row.reference))) for row in rows]),
    ]
    for title, named in (("CIDEr-D, photo by photo", ciders), ("Words in a post", words)):
        finite = [(name, [value for value in values if math.isfinite(value)]) for name, values in named]
        top = max((value for _, values in finite for value in values), default=0.0)
        if top > 0:
            yield {"title": title, "top": top, "series": _series(finite, top)}


def _series(named: Sequence[tuple[str, Sequence[float]]], top: float) -> list[_Series]:
    edges = np.linspace(0, top, _BINS + 1)
    shares = [(name, np.histogram(values, edges)[0] / max(1, len(values))) for name, values in named]
    highest = max(float(share.max()) for _, share in shares)
    return [_Series(name, [float(value) for value in share / highest]) for name, share in shares]


def _galleries(
    rows: Sequence[EvaluationRow], theirs: Mapping[str, EvaluationRow], samples: Mapping[str, Sample]
) -> list[tuple[str, list[_ReportPhoto]]]:
    """Return the galleries with their headings; no photo appears twice in best, worst and random."""
    ranked = sorted(rows, key=lambda row: (-_rank(row.cider), row.id))
    each = min(SHOWN, math.ceil(len(ranked) / 3))
    best, rest = ranked[:each], ranked[each:]
    worst, rest = rest[::-1][:each], rest[: max(0, len(rest) - each)]
    drawn = random.Random(0).sample(rest, min(each, len(rest)))  # noqa: S311 - not a secret
    chosen = [("Best", best), ("Worst", worst), ("Random", drawn)]
    if theirs:
        gains = {row.id: _rank(row.cider - theirs[row.id].cider) for row in rows if row.id in theirs}
        by_gain = sorted((row for row in rows if row.id in gains), key=lambda row: (-gains[row.id], row.id))
        chosen += [
            ("Gained most", [row for row in by_gain[:each] if gains[row.id] > 0]),
            ("Lost most", [row for row in by_gain[::-1][:each] if gains[row.id] < 0]),
        ]
    return [
        (heading, [_ReportPhoto(row, _thumbnail(samples[row.id]), theirs.get(row.id)) for row in some])
        for heading, some in chosen
        if some
    ]


def _rank(value: float) -> float:
    # NaN and infinity rank last.
    return value if math.isfinite(value) else -math.inf


def _thumbnail(sample: Sample) -> str:
    image = decode(sample.photo())
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return base64.b64encode(stream.getvalue()).decode()
