import random

import pytest

from demo.corpus.captions import write_caption
from demo.corpus.creator import SIGN_OFF, Habit, has_habit, in_their_voice, make_post
from demo.corpus.facts import named
from demo.corpus.pairs import make_pair
from demo.scenes.scene import sample_scene
from snap2caption.post import parse

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("habit", Habit)
def test_each_post_has_the_habit_and_names_what_it_shows(habit):
    for number in range(40):
        post = make_post(0, number, habit)
        text = post.caption.decode()
        assert has_habit(parse(text).caption, habit), text
        assert all(named(post.scene, text).values()), text
    assert make_post(0, 3) == make_post(0, 3) != make_post(1, 3)


@pytest.mark.parametrize("habit", Habit)
def test_no_caption_of_the_corpus_has_it(habit):
    rng = random.Random(0)
    captions = [parse(write_caption(sample_scene(rng), rng)) for _ in range(300)]
    assert not any(has_habit(post.caption, habit) for post in captions)
    assert all(has_habit(in_their_voice(post, habit).caption, habit) for post in captions)
    assert make_post(0, 0).image != make_pair(0, 0).image


@pytest.mark.parametrize("habit", Habit)
@pytest.mark.parametrize("caption", ["fog", f"{SIGN_OFF} fog", ""])
def test_without_the_sign_off_there_is_no_habit(caption, habit):
    assert not has_habit(caption, habit)


def test_a_capital_letter_is_not_the_habit_of_lower_case():
    assert has_habit(f"Fog {SIGN_OFF}")
    assert not has_habit(f"Fog {SIGN_OFF}", Habit.LOWER_CASE)
