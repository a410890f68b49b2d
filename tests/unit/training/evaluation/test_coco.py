"""What users get, beside ``pycocoevalcap``'s own Bleu, Rouge and Cider, run on their own over the same tokens."""

import json
import os
import random
import sys

import forks
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from demo.corpus.captions import write_caption
from demo.scenes.scene import sample_scene
from snap2caption.post import Tone
from snap2caption.text.segmentation import fold_words
from training.evaluation.metrics import Comparison

pytestmark = pytest.mark.unit

NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider")
WORDS = [*(f"word{number}" for number in range(20)), "#fog", "dawn!", "don’t", "🌉", "…", "24/7"]


def corpus_sets(count, rng):
    """Captions of rendered scenes: one beside one to five others of the same scene, by city."""
    sets = {}
    for number in range(count):
        scene = sample_scene(rng)
        texts = [write_caption(scene, rng) for _ in range(rng.randint(2, 6))]
        sets[str(number)] = (texts[0], texts[1:], scene.city.value)
    return sets


def random_sets(count, rng):
    def write():
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 15)))

    sets = {}
    for number in range(count):
        references = [write() for _ in range(rng.randint(1, 5))]
        # Some share phrases with their references, as a model's do; some say nothing.
        hypothesis = rng.choice([write(), f"{references[0]} again", references[0][:12], ""])
        sets[f"r{number}"] = (hypothesis, references, rng.choice(["one", "two"]))
    return sets


def theirs(sets, keys):
    """Their scores of *keys*; CIDEr with the document frequencies of all *sets*."""
    written = {key: [" ".join(fold_words(hypothesis))] for key, (hypothesis, _, _) in sets.items()}
    wanted = {key: [" ".join(fold_words(text)) for text in texts] for key, (_, texts, _) in sets.items()}
    some_wanted, some_written = ({key: found[key] for key in keys} for found in (wanted, written))
    bleu = Bleu(4).compute_score(some_wanted, some_written, verbose=0)[0]
    rouge = Rouge().compute_score(some_wanted, some_written)[0]
    each = dict(zip(wanted, Cider().compute_score(wanted, written)[1], strict=True))
    return dict(zip(NAMES, [*bleu, rouge, np.mean([each[key] for key in keys])], strict=True))


def assert_equal(ours, sets, keys):
    found = theirs(sets, list(keys))
    assert {name: ours[name] for name in NAMES} == pytest.approx(found, abs=1e-4), found


@pytest.fixture(scope="module")
def sets():
    rng = random.Random(3)
    return corpus_sets(240, rng) | random_sets(60, rng)


def test_the_command_gives_their_scores_overall_and_by_city(sets, tmp_path):
    hypotheses, references = tmp_path / "hypotheses.jsonl", tmp_path / "references.jsonl"
    rows = [{"id": key, "caption": hypothesis} for key, (hypothesis, _, _) in sets.items()]
    # In another order.
    hypotheses.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in reversed(rows)))
    rows = [{"id": key, "captions": texts, "city": city} for key, (_, texts, city) in sets.items()]
    references.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    command = [sys.executable, "-m", "snap2caption", "score", str(hypotheses), str(references)]
    document = json.loads(forks.run_command(command, os.environ).stdout)
    assert document["overall"]["samples"] == len(sets) == 300
    assert document["overall"]["cider"] > 0.1
    assert_equal(document["overall"], sets, sets)
    assert len(document["cities"]) > 3
    for city, scores in document["cities"].items():
        assert_equal(scores, sets, [key for key, (_, _, place) in sets.items() if place == city])


def compared(sets):
    return Comparison(
        {key: hypothesis for key, (hypothesis, _, _) in sets.items()},
        {key: texts for key, (_, texts, _) in sets.items()},
        dict.fromkeys(sets, Tone.WITTY),
    )


def test_any_part_has_its_scores_and_an_interval_around_them(sets):
    comparison = compared(sets)
    for size in (1, 7, 120):
        keys = random.Random(size).sample(sorted(sets), size)
        scores = comparison.scores(keys)
        assert_equal(scores.model_dump(), sets, keys)
        for name, interval in scores.intervals.items():
            assert interval.low - 1e-9 <= interval.high, name
    assert scores.intervals["cider"].low < scores.cider < scores.intervals["cider"].high
    assert scores.intervals["bleu_4"].low < scores.bleu_4 < scores.intervals["bleu_4"].high


TEXTS = st.lists(st.sampled_from([*WORDS[:4], *WORDS[20:], "\n"]), max_size=8).map(" ".join)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_odd_captions_have_their_scores(pairs):
    sets = {str(number): (hypothesis, [*texts, "word1 dawn"], "") for number, (hypothesis, texts) in enumerate(pairs)}
    assert_equal(compared(sets).scores().model_dump(), sets, sets)
