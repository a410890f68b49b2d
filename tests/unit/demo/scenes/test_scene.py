import random
from collections import Counter

import pytest

from demo.scenes.scene import COMMON, LANDMARKS, City, Mood, Subject, Time, Weather, sample_scene

pytestmark = pytest.mark.unit


def test_every_value_is_common_enough_to_be_learned():
    rng = random.Random(0)
    scenes = [sample_scene(rng) for _ in range(4000)]
    for name, values, least in (
        ("city", City, 0.15),
        ("time", Time, 0.08),
        ("weather", Weather, 0.08),
        ("mood", Mood, 0.08),
        ("subject", Subject, 0.02),
    ):
        counts = Counter(getattr(scene, name) for scene in scenes)
        assert set(counts) == set(values)
        assert min(counts.values()) / len(scenes) >= least, name


def test_landmarks_stay_in_their_city():
    rng = random.Random(1)
    for scene in (sample_scene(rng) for _ in range(500)):
        assert scene.subject in COMMON or scene.subject in LANDMARKS[scene.city]


def test_the_same_seed_draws_the_same_scenes():
    assert [sample_scene(random.Random(7)) for _ in range(3)] == [sample_scene(random.Random(7)) for _ in range(3)]
