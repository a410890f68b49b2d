import random
import re

import pytest

from demo.corpus.captions import write_caption
from demo.corpus.describe import background_text, describe
from demo.corpus.facts import facts_in
from demo.corpus.lexicon import CITIES, SUBJECTS
from demo.scenes.scene import LANDMARKS, sample_scene

pytestmark = pytest.mark.unit


def test_a_description_names_no_place_and_is_plain():
    rng = random.Random(0)
    landmarks = {subject for subjects in LANDMARKS.values() for subject in subjects}
    names = [cue for city in CITIES.values() for cue in city.cues] + [
        cue for subject in landmarks for cue in SUBJECTS[subject].cues
    ]
    for _ in range(1000):
        text = describe(sample_scene(rng), rng)
        assert not facts_in(text).city
        assert not facts_in(text).subject & landmarks
        assert not any(re.search(rf"\b{name}\b", text.lower()) for name in names)
        assert text.isascii()
        assert "#" not in text
        assert 15 <= len(text.split()) <= 42


def test_scenes_that_look_different_are_described_differently():
    rng = random.Random(1)
    scenes = [sample_scene(rng) for _ in range(200)]
    texts = {}
    for scene in scenes:
        texts.setdefault(describe(scene, rng), set()).add((scene.city, scene.subject, scene.time, scene.weather))
    assert all(len(meant) == 1 for meant in texts.values())


def test_background_text_holds_the_words_of_the_captions():
    rng = random.Random(2)
    known = set(re.findall(r"\w+", " ".join(background_text(rng) for _ in range(20_000)).lower()))
    needed = set()
    for _ in range(500):
        post = re.sub(r"[@#]\S+|https\S+", " ", write_caption(sample_scene(rng), rng))
        needed.update(re.findall(r"\w+", post.lower()))
    assert not sorted(needed - known)
