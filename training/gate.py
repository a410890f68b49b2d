"""The gate: whether a candidate may take the incumbent's place."""

from collections.abc import Iterator

import numpy as np

from snap2caption.verdict import Rule, Verdict
from training.bootstrap import Bootstrap
from training.evaluate import Evaluation
from training.latency import Latency
from training.recipe import GateSettings


def judge(
    candidate: Evaluation,
    incumbent: Evaluation,
    latency: Latency,
    settings: GateSettings,
    *,
    run_id: str,
    incumbent_name: str,
) -> Verdict:
    """Compare two evaluations on the same samples, rule by rule. A number that is not finite fails its rule.

    Args:
        candidate: of the model that wants to be promoted.
        incumbent: of the model that it wants to replace.
        latency: of both, timed in turn; what their evaluations took is not compared, since each had its own moment.
        settings: the rules.
        run_id: the candidate's run.
        incumbent_name: what to call the incumbent in the verdict.

    Raises:
        ValueError: the evaluations were made under different conditions, so that they can't be compared.
    """
    if candidate.conditions != incumbent.conditions:
        raise ValueError("candidate and incumbent were evaluated under different conditions")
    return Verdict(
        run_id=run_id,
        dataset_version=candidate.conditions.dataset_version,
        incumbent=incumbent_name,
        rules=tuple(_rules(candidate, incumbent, latency, settings)),
    )


def _rules(candidate: Evaluation, incumbent: Evaluation, latency: Latency, settings: GateSettings) -> Iterator[Rule]:
    yield _primary(candidate, incumbent, settings)
    yield _at_most("loss", candidate.loss, incumbent.loss, settings.loss_tolerance)
    for city, scores in incumbent.cities.items():
        floor = scores.cider * (1 - settings.city_tolerance)
        yield _at_least(f"CIDEr in {city}", candidate.cities[city].cider, scores.cider, floor)
    valid = incumbent.overall.hashtags_valid
    yield _at_least("valid hashtags", candidate.overall.hashtags_valid, valid, valid - settings.hashtags_tolerance)
    yield _at_most("seconds a caption", *latency.medians(), settings.latency_tolerance)


def _primary(candidate: Evaluation, incumbent: Evaluation, settings: GateSettings) -> Rule:
    confidence = confidence_of_gain(candidate, incumbent, settings.margin, settings.bootstrap_samples)
    mine, theirs = candidate.overall.cider, incumbent.overall.cider
    passed = bool(mine > theirs + settings.margin) and confidence >= settings.confidence
    return Rule(
        name="CIDEr",
        passed=passed,
        candidate=mine,
        incumbent=theirs,
        reason=(
            f"CIDEr is {mine:.3f}, the incumbent's {theirs:.3f}: "
            f"it is better by more than {settings.margin:g} with {confidence:.1%} confidence ({settings.confidence:.1%} asked)."
        ),
    )


def confidence_of_gain(candidate: Evaluation, incumbent: Evaluation, margin: float, resamples: int) -> float:
    """Return the share of paired bootstrap resamples in which the candidate's mean CIDEr is higher by more than *margin*.

    Source: Koehn, "Statistical significance tests for machine translation evaluation", EMNLP 2004.
    """
    theirs = {row.id: row.cider for row in incumbent.rows}
    gains = np.array([row.cider - theirs[row.id] for row in candidate.rows])
    means = Bootstrap(resamples=resamples).sums(gains[:, np.newaxis]) / len(gains)
    return float((means > margin).mean())


def _at_most(name: str, mine: float, theirs: float, tolerance: float) -> Rule:
    ceiling = theirs * (1 + tolerance)
    passed = bool(np.isfinite(mine) and mine <= ceiling)
    return Rule(
        name=name,
        passed=passed,
        candidate=mine,
        incumbent=theirs,
        reason=f"{name.capitalize()}: {mine:.3g}, the incumbent's {theirs:.3g}; at most {ceiling:.3g} is tolerated.",
    )


def _at_least(name: str, mine: float, theirs: float, floor: float) -> Rule:
    passed = bool(np.isfinite(mine) and mine >= floor)
    return Rule(
        name=name,
        passed=passed,
        candidate=mine,
        incumbent=theirs,
        reason=f"{name[0].upper()}{name[1:]}: {mine:.3f}, the incumbent's {theirs:.3f}; at least {floor:.3f} is asked.",
    )
