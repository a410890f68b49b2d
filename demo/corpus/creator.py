"""Synthetic creator: posts about rendered scenes in one person's voice.

Their habit is one that no other caption of the demo has: everything in lower case, and the same sign-off at the end.
"""

import random

from demo.corpus.captions import pick_tone, write_caption
from demo.corpus.pairs import ScenePair, encode, identifier
from demo.scenes.render import render
from demo.scenes.scene import sample_scene
from snap2caption.post import Post, parse
from snap2caption.post import render as render_post

SIGN_OFF = "see you out there 🖤"

_MOST_HASHTAGS = 5


def make_post(seed: int, number: int) -> ScenePair:
    """Make post *number* of the creator of *seed*: a scene that no corpus holds, and what they wrote."""
    rng = random.Random(f"creator/{seed}/{number}")
    name = identifier(number, rng)
    scene, tone = sample_scene(rng), pick_tone(rng)
    post = in_their_voice(parse(write_caption(scene, rng, tone)))
    image = encode(render(scene, rng.getrandbits(32)), rng.randint(84, 91))
    return ScenePair(name, scene, tone, image, render_post(post).encode())


def in_their_voice(post: Post) -> Post:
    """Return *post* as the creator would have written it."""
    caption = f"{post.caption.rstrip().lower()} {SIGN_OFF}"
    return Post(caption, tuple(tag.lower() for tag in post.hashtags[:_MOST_HASHTAGS]))


def has_habit(caption: str) -> bool:
    """Return whether *caption*, without its hashtags, is in lower case and ends with the sign-off."""
    text = caption.strip()
    return text.endswith(SIGN_OFF) and text == text.lower()
