import random

import pytest

from demo.corpus.captions import write_caption
from demo.measure import measure
from demo.scenes.scene import sample_scene
from snap2caption.errors import UserError

pytestmark = pytest.mark.unit


def test_true_captions_are_right_and_shuffled_ones_are_not() -> None:
    rng = random.Random(3)
    scenes = {str(i): sample_scene(rng) for i in range(400)}
    captions = {i: str(write_caption(scene, rng)) for i, scene in scenes.items()}

    accuracy = measure(captions, scenes)

    assert accuracy.captions == 400
    assert min(accuracy.right.values()) > 0.97
    # Chance: the sum of the squared shares of the values.
    assert accuracy.shuffled["city"] < 0.3
    assert accuracy.shuffled["subject"] < 0.15
    assert accuracy.shuffled["time"] < 0.4
    assert accuracy.shuffled["weather"] < 0.4


def test_captions_of_another_corpus_are_refused() -> None:
    with pytest.raises(UserError, match="truth file"):
        measure({"1": "hello"}, {"2": sample_scene(random.Random(0))})
