import random
import re
from collections import Counter

import pytest

from demo.corpus.captions import write_caption
from demo.corpus.facts import named
from demo.scenes.scene import sample_scene
from snap2caption import hashtags
from snap2caption.post import Tone
from snap2caption.text.segmentation import find_emoji
from snap2caption.tone import infer_tone

pytestmark = pytest.mark.unit


def posts(count, tone=None, seed=0):
    rng = random.Random(seed)
    for _ in range(count):
        scene = sample_scene(rng)
        yield scene, write_caption(scene, rng, tone)


def body(post):
    return hashtags.separate(post)[0]


def test_every_caption_names_what_the_picture_shows():
    right = [all(named(scene, post).values()) for scene, post in posts(2000)]
    assert sum(right) / len(right) >= 0.99


def test_captions_seldom_repeat():
    words = Counter(
        " ".join(re.findall(r"\w+", re.sub(r"@\S+|https\S+", "", body(post)).lower())) for _, post in posts(2000)
    )
    assert sum(count for count in words.values() if count > 1) / 2000 < 0.03


def test_hashtags_are_three_to_twelve_and_have_a_long_tail():
    counts = Counter()
    for _, post in posts(2000):
        tags = hashtags.extract(post)
        assert 3 <= len(tags) <= 13  # one may stand inside the sentence
        counts.update(tags)
    assert counts.most_common(1)[0][1] > 400
    assert sum(count == 1 for count in counts.values()) > 0.5 * len(counts)


@pytest.mark.parametrize("tone", list(Tone))
def test_the_tone_can_be_told_from_the_caption(tone):
    right = [infer_tone(re.sub(r"@\S+|https\S+", "", body(post))) is tone for _, post in posts(300, tone)]
    assert sum(right) / len(right) >= 0.97


def test_each_tone_has_its_marks():
    texts = {tone: [body(post) for _, post in posts(200, tone)] for tone in Tone}
    assert not any(len(find_emoji(text)) for text in texts[Tone.PROFESSIONAL])
    assert all("!" in text or "?" in text for text in texts[Tone.PLAYFUL])
    assert all(len(find_emoji(text)) >= 2 for text in texts[Tone.PLAYFUL])
    assert all(text == text.lower() and len(find_emoji(text)) <= 1 for text in texts[Tone.MINIMAL])
    assert all(len(text.split()) >= 9 for text in texts[Tone.INSPIRATIONAL])


def test_posts_look_like_posts():
    texts = [post for _, post in posts(500)]
    for mark in ("@", "https://", "\n", "#"):
        assert any(mark in text for text in texts)
    assert any(re.search(r"#\w+ [a-z]", text) for text in texts), "a hashtag inside a sentence"
