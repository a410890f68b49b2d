import math
import random

import pytest

from snap2caption.errors import UserError
from snap2caption.post import Tone
from training.evaluation.metrics import Comparison

pytestmark = pytest.mark.unit

WORDS = [f"word{number}" for number in range(20)] + ["#fog", "dawn!"]


@pytest.fixture(scope="module")
def captions():
    rng = random.Random(3)

    def write():
        return " ".join(rng.choices(WORDS, k=rng.randint(3, 15)))

    hypotheses = {str(number): write() for number in range(200)}
    references = {key: [write() for _ in range(rng.randint(1, 5))] for key in hypotheses}
    # Some that share phrases with their references, as a model's do.
    for key in list(hypotheses)[::3]:
        hypotheses[key] = references[key][0] + " again"
    return hypotheses, references


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("दिन दिन दिन दिन", "दान दान दान दान"),  # Hindi: other vowels alone
        ("ดี ดี ดี ดี", "ดำ ดำ ดำ ดำ"),
        ("今日の空はとても青い", "明晩我們去吃飯嗎"),
    ],
)
def test_other_words_score_nothing_in_any_script(one, other):
    scores = Comparison({"a": one}, {"a": [other]}, {"a": Tone.MINIMAL}).scores()
    assert max(scores.bleu_1, scores.rouge_l, scores.cider) < 1e-6


@pytest.mark.parametrize(
    ("one", "other"),
    [("It's a day, isn’t it", "it’s a day isn't IT"), ("Hawaiʻi days all along", "Hawai’i days all along")],
)
def test_an_apostrophe_is_an_apostrophe(one, other):
    scores = Comparison({"a": one}, {"a": [other]}, {"a": Tone.MINIMAL}).scores()
    assert (round(scores.bleu_4, 3), round(scores.rouge_l, 3)) == (1.0, 1.0)


def test_a_sentence_without_spaces_is_scored_by_its_characters():
    scores = Comparison({"a": "今天天气很好"}, {"a": ["今天天气不好"]}, {"a": Tone.MINIMAL}).scores()
    assert scores.bleu_1 == pytest.approx(5 / 6, abs=1e-3)
    assert scores.length == 6


def compare(hypotheses, references, tones=None):
    return Comparison(hypotheses, references, tones or dict.fromkeys(hypotheses, Tone.PROFESSIONAL))


def test_bleu_and_rouge_by_hand():
    scores = compare({"1": "the cat sat"}, {"1": ["the cat sat down"]}).scores()
    brevity = math.exp(1 - 4 / 3)
    assert scores.bleu_1 == pytest.approx(brevity)
    assert scores.bleu_3 == pytest.approx(brevity)
    precision, recall, beta = 1.0, 3 / 4, 1.2
    assert scores.rouge_l == pytest.approx((1 + beta**2) * precision * recall / (recall + beta**2 * precision))


def test_cider_weighs_a_phrase_by_its_rarity_in_the_whole_split(captions):
    hypotheses, references = captions
    whole = compare(hypotheses, references)
    some = list(hypotheses)[:20]
    part = compare({key: hypotheses[key] for key in some}, references)
    assert part.cider == {key: whole.cider[key] for key in some}
    assert part.scores().cider == pytest.approx(whole.scores(some).cider)


def test_a_perfect_caption_scores_ten_and_an_empty_one_nothing():
    references = {"1": ["golden fog at dawn"], "2": ["quiet rain in town"], "3": ["harbour lights again"]}
    assert compare({"1": "golden fog at dawn"}, references).cider["1"] == pytest.approx(10)
    nothing = compare({"1": ""}, references).scores()
    assert (nothing.cider, nothing.bleu_1, nothing.rouge_l, nothing.length) == pytest.approx((0, 0, 0, 0))


def test_hashtags_are_counted_over_the_set():
    written = {"1": "a\n#one #two #three #four #five", "2": "b\n#one #ONE"}
    wanted = {"1": ["c\n#one #two #six"], "2": ["d\n#seven"]}
    scores = compare(written, wanted).scores()
    assert scores.hashtag_precision == pytest.approx(2 / 6)
    assert scores.hashtag_recall == pytest.approx(2 / 4)
    assert scores.hashtag_f1 == pytest.approx(0.4)
    assert scores.hashtags_valid == 1


def test_a_hypothesis_without_a_reference_is_an_error():
    with pytest.raises(UserError, match="no reference for '2'"):
        compare({"1": "a", "2": "b"}, {"1": ["a"]})


def test_references_without_a_word_are_an_error():
    with pytest.raises(UserError, match="No reference has a word"):
        compare({"1": "a"}, {"1": ["🌉"]})


def test_words_that_come_again_are_not_distinct():
    references = {"1": ["golden fog"], "2": ["golden fog"]}
    scores = compare({"1": "a b a b", "2": "a b c"}, references).scores()
    # Of 7 words 3 differ; of the 5 pairs in their posts (never across two) ab, ba and bc.
    assert (scores.distinct_1, scores.distinct_2) == pytest.approx((3 / 7, 3 / 5))
    assert (scores.people.distinct_1, scores.people.distinct_2) == pytest.approx((2 / 4, 1 / 2))
    assert compare({"1": "one"}, references).scores().distinct_2 == 0


def test_a_tone_is_adhered_to_if_the_answer_shows_it():
    minimal, playful, plain = (
        "Fog, dawn.",
        "So happy to be here with everybody today!",
        "This is a quiet evening above the river.",
    )
    references = {key: [plain] for key in "1234"}
    hypotheses = {"1": minimal, "2": playful, "3": playful, "4": "#fog"}
    tones = {"1": Tone.MINIMAL, "2": Tone.PLAYFUL, "3": Tone.WITTY, "4": Tone.MINIMAL}
    scores = compare(hypotheses, references, tones).scores()
    # The last has no prose, and so no tone.
    assert scores.tone_adherence == pytest.approx(2 / 4)
    # One in four is minimal, asked for twice; two are playful, asked for once; none is witty.
    assert scores.tone_chance == pytest.approx((1 / 4 + 2 / 4 + 0 + 1 / 4) / 4)
    assert scores.people.tone_adherence == 0


def test_posts_are_valid_as_a_whole():
    valid = "Fog over the bridge.\n#chicago #fog #dawn #bridge #citylife"
    written = {"1": valid, "2": valid.replace("#fog", "#1")}
    scores = compare(written, {"1": [valid, "Fog."], "2": [valid]}).scores()
    assert (scores.format_valid, scores.hashtags_valid) == (0.5, 1.0)
    # All of the people's posts count.
    assert scores.people.format_valid == pytest.approx(2 / 3)


def test_groups_have_the_scores_of_their_members(captions):
    comparison = compare(*captions)
    groups = {key: "even" if int(key) % 2 == 0 else "odd" for key in captions[0]}
    by_group = comparison.scores_by(groups)
    assert list(by_group) == ["even", "odd"]
    assert by_group["odd"] == comparison.scores([key for key, group in groups.items() if group == "odd"])


def test_metrics_hold_every_score_and_the_interval_of_cider(captions):
    scores = compare(*captions).scores()
    metrics = scores.metrics()
    assert set(metrics) == {
        "bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_low", "cider_high", "length", "distinct_1",
        "distinct_2", "hashtag_precision", "hashtag_recall", "hashtag_f1", "hashtags_valid", "format_valid",
        "tone_adherence", "tone_chance",
    }  # fmt: skip
    assert metrics["cider_low"] < metrics["cider"] < metrics["cider_high"]
