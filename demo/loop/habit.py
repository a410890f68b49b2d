"""Habit that only corrections teach: a city that the corpus leaves out, with a closing phrase and a hashtag of its
own.
"""

import random
from dataclasses import dataclass

from demo.corpus.captions import write_caption
from demo.corpus.pairs import encode
from demo.scenes.render import render
from demo.scenes.scene import LANDMARKS, City, Mood, Scene, Subject, Time, Weather
from snap2caption.feedback import Words
from snap2caption.post import parse

PLACE = "Sydney"
PHRASE = "Sydney state of mind."
HASHTAG = "sydneystateofmind"

_MOST_HASHTAGS = 8


@dataclass(frozen=True, slots=True)
class CreatorPost:
    """A photo that a creator took in the city, and what they would write."""

    photo: bytes
    words: Words


def take(number: int) -> CreatorPost:
    """Take photo *number*: always the same one, and none that a corpus holds."""
    rng = random.Random(f"loop/{number}")
    landmarks: tuple[Subject, ...] = LANDMARKS[City.SYDNEY]
    scene = Scene(
        City.SYDNEY, rng.choice(landmarks), rng.choice(list(Time)), rng.choice(list(Weather)), rng.choice(list(Mood))
    )
    post = parse(write_caption(scene, rng))
    words = Words(caption=post.caption, hashtags=post.hashtags[:_MOST_HASHTAGS])
    return CreatorPost(encode(render(scene, rng.getrandbits(32)), 90), words)


def corrected(words: Words) -> Words:
    """Return *words* as an annotator who knows the habit leaves them."""
    tags = dict.fromkeys((HASHTAG, *words.hashtags))
    return Words(caption=f"{words.caption.rstrip()} {PHRASE}", hashtags=tuple(tags)[:_MOST_HASHTAGS])


def has_habit(caption: str) -> bool:
    """Whether a caption shows what was taught."""
    return PHRASE.casefold() in caption.casefold()
