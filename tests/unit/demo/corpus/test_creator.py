import random

import pytest

from demo.corpus.captions import write_caption
from demo.corpus.creator import SIGN_OFF, has_habit, in_their_voice, make_post
from demo.corpus.facts import named
from demo.corpus.pairs import make_pair
from demo.scenes.scene import sample_scene
from snap2caption.post import parse

pytestmark = pytest.mark.unit


def test_each_post_has_the_habit_and_names_what_it_shows():
    for number in range(40):
        post = make_post(0, number)
        text = post.caption.decode()
        assert has_habit(parse(text).caption), text
        assert all(named(post.scene, text).values()), text
    assert make_post(0, 3) == make_post(0, 3) != make_post(1, 3)


def test_no_caption_of_the_corpus_has_it():
    rng = random.Random(0)
    captions = [parse(write_caption(sample_scene(rng), rng)) for _ in range(300)]
    assert not any(has_habit(post.caption) for post in captions)
    assert all(has_habit(in_their_voice(post).caption) for post in captions)
    assert make_post(0, 0).image != make_pair(0, 0).image


@pytest.mark.parametrize("caption", [f"Fog {SIGN_OFF}", "fog", f"{SIGN_OFF} fog", ""])
def test_half_a_habit_is_none(caption):
    assert not has_habit(caption)
