import itertools
import random

import imagehash
import numpy as np
import pytest

from demo.scenes.render import render
from demo.scenes.scene import COMMON, LANDMARKS, City, Mood, Scene, Subject, Time, Weather, sample_scene

pytestmark = pytest.mark.unit

EVERY_SUBJECT = [
    Scene(city, subject, Time.DAY, Weather.CLEAR, Mood.CALM) for city in City for subject in (*LANDMARKS[city], *COMMON)
]


@pytest.mark.parametrize("scene", EVERY_SUBJECT, ids=lambda scene: f"{scene.city}-{scene.subject}")
def test_every_subject_is_drawn_in_its_cities(scene):
    picture = render(scene, 3)
    assert (picture.mode, picture.size) == ("RGB", (300, 300))
    assert np.asarray(picture).std() > 25


def test_the_same_scene_and_seed_give_the_same_picture():
    scene = sample_scene(random.Random(2))
    assert render(scene, 5).tobytes() == render(scene, 5).tobytes()
    assert render(scene, 5).tobytes() != render(scene, 6).tobytes()


def test_two_pictures_of_one_scene_are_no_near_duplicates():
    rng = random.Random(4)
    distances = []
    for _ in range(12):
        scene = sample_scene(rng)
        hashes = [imagehash.phash(render(scene, seed), hash_size=16) for seed in range(4)]
        distances += [first - second for first, second in itertools.combinations(hashes, 2)]
    assert min(distances) > 24


@pytest.mark.parametrize("weather", list(Weather))
def test_times_of_day_differ_in_the_sky(weather):
    skies = {}
    for time in Time:
        pictures = [
            np.asarray(render(Scene(City.CHICAGO, Subject.DOG, time, weather, Mood.CALM), seed))[:100]
            for seed in range(4)
        ]
        skies[time] = np.mean(pictures, axis=(0, 1, 2))
    assert skies[Time.NIGHT].sum() < 0.75 * min(skies[time].sum() for time in Time if time is not Time.NIGHT)
    red_over_blue = {time: sky[0] - sky[2] for time, sky in skies.items()}
    assert red_over_blue[Time.SUNSET] > red_over_blue[Time.SUNRISE] + 20
    assert red_over_blue[Time.SUNRISE] > red_over_blue[Time.DAY] + 10


def test_snow_whitens_the_ground():
    def ground(weather):
        scene = Scene(City.LONDON, Subject.BICYCLE, Time.DAY, weather, Mood.CALM)
        return np.mean([np.asarray(render(scene, seed))[230:].mean() for seed in range(4)])

    assert ground(Weather.SNOW) > ground(Weather.CLEAR) + 40
