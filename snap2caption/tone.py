"""Tone of a caption, inferred from its surface by rules that a person can check.

Corpora do not say in which tone a post is written. A model learns to follow the tone that a creator asks for only
if each training prompt names the tone of its own caption, so we infer it. The rules are tried in order; the first
that holds names the tone.
"""

import re

from snap2caption.post import Tone
from snap2caption.text.segmentation import find_emoji, find_words

_SHORT = 6
"""The most words that a minimal caption has."""

_PUN = re.compile(
    r"\b(plot twist|pun|apparently|allegedly|officially|technically|proof that|spoiler|"
    r"told my|relationship status|asking for)\b"
)
_UPLIFT = re.compile(
    r"\b(dream\w*|believe\w*|grateful|gratitude|hope|hopes|inspir\w+|chase|begin\w*|"
    r"journey|magic|remember|breathe|shine|courage|trust|heart|soul)\b"
)


def infer_tone(caption: str) -> Tone:
    """Return the tone of *caption*, which is prose without hashtags."""
    lowered = caption.casefold()
    if len(find_words(caption)) <= _SHORT and "!" not in caption:
        return Tone.MINIMAL
    if _PUN.search(lowered):
        return Tone.WITTY
    if _UPLIFT.search(lowered):
        return Tone.INSPIRATIONAL
    if len(find_emoji(caption)) >= 2 or "!" in caption:
        return Tone.PLAYFUL
    return Tone.PROFESSIONAL
