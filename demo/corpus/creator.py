"""Synthetic creator: posts about rendered scenes in one person's voice.

Their habit is one that no other caption of the demo has.
"""

import random
from enum import StrEnum

from demo.corpus.captions import pick_tone, write_caption
from demo.corpus.pairs import ScenePair, encode, identifier
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from snap2caption.post import Post, parse
from snap2caption.post import render as render_post

SIGN_OFF = "see you out there 🖤"

_MOST_HASHTAGS = 5


class Habit(StrEnum):
    """What all posts of a synthetic creator have in common."""

    SIGN_OFF = "sign-off"
    """The same words at the end."""
    LOWER_CASE = "lower-case"
    """The same words at the end, and everything in lower case. The demo's tokenizer tells upper from lower case, so
    each name is a new word.
    """


def make_post(seed: int, number: int, habit: Habit = Habit.SIGN_OFF) -> ScenePair:
    """Make post *number* of the creator of *seed*: a scene that no corpus holds, and what they wrote."""
    rng = random.Random(f"creator/{seed}/{number}")
    name = identifier(number, rng)
    scene, tone = sample_scene(rng), pick_tone(rng)
    post = in_their_voice(parse(write_caption(scene, rng, tone)), habit)
    image = encode(render(scene, rng.getrandbits(32)), rng.randint(84, 91))
    return ScenePair(name, scene, tone, image, render_post(post).encode())


def in_their_voice(post: Post, habit: Habit = Habit.SIGN_OFF) -> Post:
    """Return *post* as a creator with *habit* would have written it."""
    caption = f"{post.caption.rstrip()} {SIGN_OFF}"
    caption = caption.lower() if habit is Habit.LOWER_CASE else caption
    return Post(caption, tuple(tag.lower() for tag in post.hashtags[:_MOST_HASHTAGS]))


def has_habit(caption: str, habit: Habit = Habit.SIGN_OFF) -> bool:
    """Return whether *caption*, without its hashtags, has all of *habit*."""
    text = caption.strip()
    return text.endswith(SIGN_OFF) and (habit is not Habit.LOWER_CASE or text == text.lower())
