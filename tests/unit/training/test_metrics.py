import math
import random

import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from snap2caption.errors import UserError
from training.metrics import Comparison, tokenise

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


def test_words_are_folded_hashtags_are_words_emoji_are_not():
    assert tokenise("Don’t MISS it! 🌉✨ #GoldenGate, café\n24/7") == [
        "don’t",
        "miss",
        "it",
        "goldengate",
        "café",
        "24",
        "7",
    ]


def test_scores_equal_the_coco_evaluation(captions):
    hypotheses, references = captions
    ours = Comparison(hypotheses, references).scores()
    written = {key: [" ".join(tokenise(text))] for key, text in hypotheses.items()}
    wanted = {key: [" ".join(tokenise(text)) for text in texts] for key, texts in references.items()}
    bleu = Bleu(4).compute_score(wanted, written, verbose=0)[0]
    assert [ours.bleu_1, ours.bleu_2, ours.bleu_3, ours.bleu_4] == pytest.approx(bleu, abs=1e-6)
    assert ours.rouge_l == pytest.approx(Rouge().compute_score(wanted, written)[0], abs=1e-6)
    assert ours.cider == pytest.approx(Cider().compute_score(wanted, written)[0], abs=1e-6)


def test_bleu_and_rouge_by_hand():
    scores = Comparison({"1": "the cat sat"}, {"1": ["the cat sat down"]}).scores()
    brevity = math.exp(1 - 4 / 3)
    assert scores.bleu_1 == pytest.approx(brevity)
    assert scores.bleu_3 == pytest.approx(brevity)
    precision, recall, beta = 1.0, 3 / 4, 1.2
    assert scores.rouge_l == pytest.approx((1 + beta**2) * precision * recall / (recall + beta**2 * precision))


def test_cider_weighs_a_phrase_by_its_rarity_in_the_whole_split(captions):
    hypotheses, references = captions
    whole = Comparison(hypotheses, references)
    some = list(hypotheses)[:20]
    part = Comparison({key: hypotheses[key] for key in some}, references)
    assert part.cider == {key: whole.cider[key] for key in some}
    assert part.scores().cider == pytest.approx(whole.scores(some).cider)


def test_a_perfect_caption_scores_ten_and_an_empty_one_nothing():
    references = {"1": ["golden fog at dawn"], "2": ["quiet rain in town"], "3": ["harbour lights again"]}
    assert Comparison({"1": "golden fog at dawn"}, references).cider["1"] == pytest.approx(10)
    nothing = Comparison({"1": ""}, references).scores()
    assert (nothing.cider, nothing.bleu_1, nothing.rouge_l, nothing.length) == pytest.approx((0, 0, 0, 0))


def test_hashtags_are_counted_over_the_set():
    written = {"1": "a\n#one #two #three #four #five", "2": "b\n#one #ONE"}
    wanted = {"1": ["c\n#one #two #six"], "2": ["d\n#seven"]}
    scores = Comparison(written, wanted).scores()
    assert scores.hashtag_precision == pytest.approx(2 / 6)
    assert scores.hashtag_recall == pytest.approx(2 / 4)
    assert scores.hashtag_f1 == pytest.approx(0.4)
    assert scores.hashtags_valid == 0.5


def test_a_hypothesis_without_a_reference_is_an_error():
    with pytest.raises(UserError, match="no reference for '2'"):
        Comparison({"1": "a", "2": "b"}, {"1": ["a"]})


def test_references_without_a_word_are_an_error():
    with pytest.raises(UserError, match="No reference holds a word"):
        Comparison({"1": "a"}, {"1": ["🌉"]})
