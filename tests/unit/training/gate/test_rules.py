import math

import pytest

from snap2caption.post import Tone
from snap2caption.registry.verdict import ComparedScore, GateVerdict
from training.evaluation.bootstrap import ResamplingClusters
from training.evaluation.evaluate import Evaluation, EvaluationConditions, EvaluationRow
from training.evaluation.metrics import ReferenceScores, TextScores
from training.gate.latency import LatencyComparison, ModelTimings
from training.gate.rules import EvaluationPair, confidence_of_gain, judge
from training.recipes.sections import EvaluationSettings, FeedbackGateSettings, GateSettings

pytestmark = pytest.mark.unit

CITIES = ("chicago", "newyork")
CONDITIONS = EvaluationConditions(
    dataset_version="d1", split="test", cities=(), settings=EvaluationSettings(), device="cpu", precision="float32"
)
SETTINGS = GateSettings(margin=0.0, bootstrap_samples=500)


def scores(cider, valid=0.9):
    writing = {
        "length": 9, "distinct_1": 0, "distinct_2": 0, "hashtags_valid": valid, "format_valid": 0, "tone_adherence": 0,
    }  # fmt: skip
    return ReferenceScores(
        samples=1, bleu_1=0, bleu_2=0, bleu_3=0, bleu_4=0, rouge_l=0, cider=cider, hashtag_precision=0,
        hashtag_recall=0, hashtag_f1=0, tone_chance=0, people=TextScores(**writing), intervals={}, **writing,
    )  # fmt: skip


def evaluation(ciders, *, loss=2.0, valid=0.9, seconds=0.1, conditions=CONDITIONS, group_size=1):
    """An evaluation whose samples, in turns of the two cities, have these CIDErs; so many after each other are of one
    group.
    """
    rows = tuple(
        EvaluationRow(
            id=str(number),
            group=str(number // group_size),
            city=CITIES[number % 2],
            tone=Tone.WITTY,
            hypothesis="",
            reference="",
            tokens=9,
            cider=cider,
            faults=(),
        )
        for number, cider in enumerate(ciders)
    )
    cities = {city: scores(sum(row.cider for row in rows if row.city == city) / (len(rows) // 2)) for city in CITIES}
    return Evaluation(
        model="m", conditions=conditions, loss=loss, tokens=9, seconds_per_caption=seconds, captions_per_second=1,
        tokens_per_second=9, overall=scores(sum(ciders) / len(ciders), valid), cities=cities, tones={}, rows=rows,
    )  # fmt: skip


def timing(first, each):
    return ModelTimings(to_first_token=(first, first), per_output_token=(each, each))


def latency(first=0.2, each=0.1):
    """The candidate took so long, the incumbent 0.2 s to the first token and 0.1 s for each other."""
    return LatencyComparison(
        device="cpu", clock="wall time", precision="float32", photos=("a", "b"), rounds=1, tokens=2,
        candidate=timing(first, each), incumbent=timing(0.2, 0.1),
    )  # fmt: skip


OLD = [0.5, 0.7, 0.6, 0.8] * 10
BETTER = [cider + 0.2 for cider in OLD]
SCENARIOS = {
    "better": (evaluation(BETTER), SETTINGS, []),
    "equal": (evaluation(OLD), SETTINGS, ["CIDEr"]),
    "worse": (evaluation([cider - 0.05 for cider in OLD]), SETTINGS, ["CIDEr"]),
    "better by less than the margin": (evaluation(BETTER), SETTINGS.model_copy(update={"margin": 0.3}), ["CIDEr"]),
    "better by chance only": (evaluation([*OLD[:-2], 2.0, 0.8]), SETTINGS, ["CIDEr"]),
    "one city collapsed": (evaluation([1.5, 0.3] * 20), SETTINGS, ["CIDEr in newyork"]),
    "higher loss": (evaluation(BETTER, loss=2.2), SETTINGS, ["loss"]),
    "a little higher loss": (evaluation(BETTER, loss=2.05), SETTINGS, []),
    "fewer valid hashtags": (evaluation(BETTER, valid=0.5), SETTINGS, ["valid hashtags"]),
    "loss is not a number": (evaluation(BETTER, loss=math.nan), SETTINGS, ["loss"]),
    "CIDEr is not a number": (evaluation([math.nan] * 40), SETTINGS, ["CIDEr", "CIDEr in chicago", "CIDEr in newyork"]),
}


@pytest.mark.parametrize(("candidate", "settings", "refused"), SCENARIOS.values(), ids=SCENARIOS.keys())
def test_scenarios(candidate, settings, refused):
    verdict = judge(
        EvaluationPair(candidate, evaluation(OLD)), latency(), settings, run_id="r", incumbent_name="champion v1"
    )
    assert [rule.name for rule in verdict.rules if not rule.passed] == refused
    assert verdict.admitted is not bool(refused)
    assert len(verdict.refusals) == len(refused)


@pytest.mark.parametrize(
    ("measured", "refused"),
    [
        (latency(first=0.29, each=0.14), []),
        (latency(first=0.31), ["time to first token"]),
        (latency(each=0.16), ["time per output token"]),
        (latency(first=math.inf, each=math.nan), ["time to first token", "time per output token"]),
    ],
)
def test_both_are_timed_in_turn_and_alone(measured, refused):
    # Its captions take 900 times as long: they are longer, and its evaluation was made at a bad moment.
    candidate, incumbent = evaluation(BETTER, seconds=9.0), evaluation(OLD, seconds=0.01)
    verdict = judge(EvaluationPair(candidate, incumbent), measured, SETTINGS, run_id="r", incumbent_name="base")
    assert [rule.name for rule in verdict.rules if not rule.passed] == refused


def test_the_verdict_says_how_certain_the_gain_is():
    pair = EvaluationPair(evaluation(BETTER), evaluation(OLD))
    verdict = judge(pair, latency(), SETTINGS, run_id="r", incumbent_name="base")
    (note,) = verdict.notes
    assert note.startswith("On 40 held-out posts, CIDEr differs by +0.200, with a 95% interval from +0.200 to +0.200,")
    assert note in verdict.report()
    assert GateVerdict.model_validate_json(verdict.model_dump_json()).notes == (note,)


def test_different_conditions_cannot_be_compared():
    other = CONDITIONS.model_copy(update={"dataset_version": "d2"})
    with pytest.raises(ValueError, match="different conditions"):
        EvaluationPair(evaluation(BETTER, conditions=other), evaluation(OLD))


ON_FEEDBACK = {
    "better on feedback, equal on the corpus": (OLD, BETTER, []),
    "better on feedback, a little lower on the corpus": ([cider - 0.02 for cider in OLD], BETTER, []),
    "better on feedback, worse on the corpus": ([cider - 0.05 for cider in OLD], BETTER, ["CIDEr"]),
    "equal on both": (OLD, OLD, ["CIDEr on feedback"]),
    "better on the corpus, equal on feedback": (BETTER, OLD, ["CIDEr on feedback"]),
}


@pytest.mark.parametrize(("on_corpus", "on_feedback", "refused"), ON_FEEDBACK.values(), ids=ON_FEEDBACK.keys())
def test_a_recipe_may_ask_for_a_gain_on_feedback(on_corpus, on_feedback, refused):
    settings = SETTINGS.model_copy(update={"feedback": FeedbackGateSettings()})
    feedback = EvaluationPair(evaluation(on_feedback), evaluation(OLD))
    corpus = EvaluationPair(evaluation(on_corpus), evaluation(OLD))
    verdict = judge(corpus, latency(), settings, run_id="r", incumbent_name="base", on_feedback=feedback)
    assert [rule.name for rule in verdict.rules if not rule.passed] == refused
    # With nothing held out to see it on, the corpus alone decides, as ever.
    alone = judge(corpus, latency(), settings, run_id="r", incumbent_name="base")
    assert alone.admitted is (on_corpus is BETTER)
    assert alone.reported == ()


def test_scores_on_feedback_are_reported_and_decide_nothing():
    feedback = EvaluationPair(evaluation(OLD, loss=9.0), evaluation(BETTER))
    corpus = EvaluationPair(evaluation(BETTER), evaluation(OLD))
    verdict = judge(corpus, latency(), SETTINGS, run_id="r", incumbent_name="base", on_feedback=feedback)
    assert verdict.admitted
    loss, cider = verdict.reported[:2]
    assert loss == ComparedScore(name="feedback: loss", candidate=9.0, incumbent=2.0)
    assert (cider.candidate, cider.incumbent) == (pytest.approx(0.65), pytest.approx(0.85))
    # Numbers that are none come back as they were.
    none = verdict.model_copy(update={"reported": (loss.model_copy(update={"candidate": math.nan}),)})
    assert math.isnan(GateVerdict.model_validate_json(none.model_dump_json()).reported[0].candidate)
    assert "| feedback: loss" in verdict.table()


def test_the_confidence_is_paired():
    # The samples differ far more among themselves than the two models do on each.
    spread = [float(number) for number in range(40)]
    better = [cider + 0.01 for cider in spread]
    alone = ResamplingClusters.single(40)
    assert confidence_of_gain(EvaluationPair(evaluation(better), evaluation(spread)), 0.0, 200, alone) == pytest.approx(
        1
    )
    assert confidence_of_gain(EvaluationPair(evaluation(spread), evaluation(better)), 0.0, 200, alone) == 0.0


def test_copies_of_a_photo_make_no_one_surer():
    gains = [0.53, 0.41, -0.23, 0.31, -0.37, 0.19, 0.07, -0.13]
    once, often = (
        judge(
            EvaluationPair(
                evaluation([1 + gain for gain in gains for _ in range(copies)], group_size=copies),
                evaluation([1.0] * len(gains) * copies, group_size=copies),
            ),
            latency(), SETTINGS, run_id="r", incumbent_name="base",
        ).rules[0]
        for copies in (1, 20)
    )  # fmt: skip
    assert not once.passed
    assert often.reason == once.reason
    assert "(95.0% required; 8 independent groups of photos)" in often.reason
    # As 160 photos of their own they would show a gain beyond doubt.
    alone = evaluation([1 + gain for gain in gains for _ in range(20)])
    rule = judge(
        EvaluationPair(alone, evaluation([1.0] * 160)), latency(), SETTINGS, run_id="r", incumbent_name="base"
    ).rules[0]
    assert rule.passed


def test_a_number_that_is_none_survives_being_stored():
    stored = Evaluation.model_validate_json(evaluation(BETTER, loss=math.nan).model_dump_json())
    assert math.isnan(stored.loss)
