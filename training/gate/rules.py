"""Gate rules: whether a candidate may replace the incumbent."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snap2caption.registry.verdict import ComparedScore, GateVerdict, RuleResult
from training.evaluation.bootstrap import Bootstrap, ResamplingClusters
from training.evaluation.evaluate import Evaluation
from training.gate.latency import LatencyComparison
from training.gate.uncertainty import describe_gain
from training.recipes.sections import FeedbackGateSettings, GateSettings

_REPORTED = ("cider", "bleu_4", "rouge_l", "hashtag_f1", "hashtags_valid")
"""Scores on the feedback's test split that the verdict reports."""


@dataclass(frozen=True, slots=True)
class EvaluationPair:
    """The evaluations of candidate and incumbent on the same samples."""

    candidate: Evaluation
    incumbent: Evaluation

    def __post_init__(self) -> None:
        if self.candidate.conditions != self.incumbent.conditions:
            raise ValueError("candidate and incumbent were evaluated under different conditions")

    def gains(self) -> NDArray[np.float64]:
        """Return how much higher the candidate's CIDEr is on each sample, shape (samples,)."""
        theirs = {row.id: row.cider for row in self.incumbent.rows}
        return np.array([row.cider - theirs[row.id] for row in self.candidate.rows])

    def clusters(self) -> ResamplingClusters:
        """Return the groups of samples that depend on each other."""
        return ResamplingClusters.named([row.group for row in self.candidate.rows])


def judge(
    on_corpus: EvaluationPair,
    latency: LatencyComparison,
    settings: GateSettings,
    *,
    run_id: str,
    incumbent_name: str,
    on_feedback: EvaluationPair | None = None,
) -> GateVerdict:
    """Return the verdict of the gate's rules on a candidate. A score that is not finite fails its rule.

    Args:
        on_corpus: evaluations of the candidate and the incumbent on the corpus's test split.
        latency: timings of both, measured alternately. Times in their evaluations are not compared, because they
            were measured at different moments on different captions.
        settings: the gate's settings.
        run_id: the candidate's run.
        incumbent_name: the incumbent's name in the verdict.
        on_feedback: evaluations of both on the held-out test split of the feedback that the candidate was trained
            on, if it was.
    """
    return GateVerdict(
        run_id=run_id,
        dataset_version=on_corpus.candidate.conditions.dataset_version,
        incumbent=incumbent_name,
        rules=tuple(_rules(on_corpus, latency, settings, on_feedback)),
        reported=tuple(_reported(on_feedback)) if on_feedback else (),
        notes=(_uncertainty(on_corpus, settings, on_feedback),),
    )


def _rules(
    on_corpus: EvaluationPair, latency: LatencyComparison, settings: GateSettings, on_feedback: EvaluationPair | None
) -> Iterator[RuleResult]:
    candidate, incumbent = on_corpus.candidate, on_corpus.incumbent
    if settings.feedback is not None and on_feedback is not None:
        criteria, resamples = settings.feedback, settings.bootstrap_samples
        yield _better("CIDEr on feedback", on_feedback, criteria, resamples)
        before = incumbent.overall.cider
        yield _at_least("CIDEr", candidate.overall.cider, before, before * (1 - criteria.cider_tolerance))
    else:
        yield _better("CIDEr", on_corpus, settings, settings.bootstrap_samples)
    yield _at_most("loss", candidate.loss, incumbent.loss, settings.loss_tolerance)
    for city, scores in incumbent.cities.items():
        floor = scores.cider * (1 - settings.city_tolerance)
        yield _at_least(f"CIDEr in {city}", candidate.cities[city].cider, scores.cider, floor)
    valid = incumbent.overall.hashtags_valid
    yield _at_least("valid hashtags", candidate.overall.hashtags_valid, valid, valid - settings.hashtags_tolerance)
    yield _at_most("time to first token", *latency.to_first_token(), settings.latency_tolerance)
    yield _at_most("time per output token", *latency.per_output_token(), settings.latency_tolerance)


def _reported(pair: EvaluationPair) -> Iterator[ComparedScore]:
    yield ComparedScore(name="feedback: loss", candidate=pair.candidate.loss, incumbent=pair.incumbent.loss)
    for name in _REPORTED:
        mine, theirs = getattr(pair.candidate.overall, name), getattr(pair.incumbent.overall, name)
        yield ComparedScore(name=f"feedback: {name}", candidate=mine, incumbent=theirs)


def _uncertainty(on_corpus: EvaluationPair, settings: GateSettings, on_feedback: EvaluationPair | None) -> str:
    """Return the sentence on the gain that decides."""
    name, pair = "CIDEr", on_corpus
    if settings.feedback is not None and on_feedback is not None:
        name, pair = "CIDEr on feedback", on_feedback
    limited = pair.candidate.conditions.settings.max_samples == len(pair.candidate.rows)
    bootstrap = Bootstrap(resamples=settings.bootstrap_samples)
    return describe_gain(name, pair.gains(), pair.clusters(), bootstrap, limited=limited)


def _better(
    name: str, pair: EvaluationPair, criteria: GateSettings | FeedbackGateSettings, resamples: int
) -> RuleResult:
    clusters = pair.clusters()
    confidence = confidence_of_gain(pair, criteria.margin, resamples, clusters)
    mine, theirs = pair.candidate.overall.cider, pair.incumbent.overall.cider
    passed = bool(mine > theirs + criteria.margin) and confidence >= criteria.confidence
    return RuleResult(
        name=name,
        passed=passed,
        candidate=mine,
        incumbent=theirs,
        reason=(
            f"{name} is {mine:.3f}, the incumbent's {theirs:.3f}: it is better by more than {criteria.margin:g} with "
            f"{confidence:.1%} confidence ({criteria.confidence:.1%} required; "
            f"{len(clusters)} independent groups of photos)."
        ),
    )


def confidence_of_gain(pair: EvaluationPair, margin: float, resamples: int, clusters: ResamplingClusters) -> float:
    """Return the confidence that the candidate's mean CIDEr is higher by more than *margin*.

    It comes from a paired bootstrap of whole *clusters* of photos. Source: Koehn, "Statistical significance tests
    for machine translation evaluation", EMNLP 2004; for clusters see `training.evaluation.bootstrap`.
    """
    return Bootstrap(resamples=resamples).confidence_above(pair.gains(), margin, clusters)


def _at_most(name: str, mine: float, theirs: float, tolerance: float) -> RuleResult:
    ceiling = theirs * (1 + tolerance)
    passed = bool(np.isfinite(mine) and mine <= ceiling)
    return RuleResult(
        name=name,
        passed=passed,
        candidate=mine,
        incumbent=theirs,
        reason=f"{name.capitalize()}: {mine:.3g}, the incumbent's {theirs:.3g}; at most {ceiling:.3g} is allowed.",
    )


def _at_least(name: str, mine: float, theirs: float, floor: float) -> RuleResult:
    passed = bool(np.isfinite(mine) and mine >= floor)
    return RuleResult(
        name=name,
        passed=passed,
        candidate=mine,
        incumbent=theirs,
        reason=(
            f"{name[0].upper()}{name[1:]}: {mine:.3f}, the incumbent's {theirs:.3f}; at least {floor:.3f} is required."
        ),
    )
