"""Pretraining text of the demo base's last stage: emoji, each a token of its own, and hashtags at the start of a
line.

A byte-level tokenizer splits an emoji into up to four tokens, none of which is a word. A model that has rarely seen
them stops in the middle.
"""

import random
import re
import unicodedata
from functools import cache

import regex

from demo.corpus.describe import background_text, describe
from demo.corpus.lexicon import CITIES, MOODS, SUBJECTS, TIMES, WEATHERS, SurfaceForms
from demo.corpus.tags import POPULAR, TAIL
from demo.corpus.voices import VOICES
from demo.scenes.scene import sample_scene

_STYLE, _JOINER, _KEY = "\ufe0f", "\u200d", "\u20e3"
"""What makes an emoji of a sign that is text by itself; what joins emoji to one; what makes a key of a digit."""

_EMOJI = regex.compile(r"\p{Emoji}")
_DRAWN = regex.compile(r"\p{Emoji_Presentation}")
_LETTER = regex.compile(r"\p{Regional_Indicator}")
_TONE = regex.compile(r"\p{Emoji_Modifier}")
_HAS_TONES = regex.compile(r"\p{Emoji_Modifier_Base}")
_DIGITS = "0123456789"

_COUNTRIES = re.findall(
    "..",
    "ARATAUBEBRCACHCLCNCOCZDEDKEGESFIFRGBGRHUIDIEILINISITJPKEKRLUMAMXMYNGNLNONZPEPHPLPTQAROSESGTHTRUAUSVNXKYEZA",
)
_PEOPLE = "🙋🙆🙅💁🤷🤦🏃🚶🏄🏊🚴"
"""Those that come as a woman and as a man."""
_SEXES = "♀♂"


_TABLES = (CITIES, SUBJECTS, TIMES, WEATHERS, MOODS)
_VOICED = [voice for voice in VOICES.values() if voice.emoji]


@cache
def emoji_tokens() -> tuple[str, ...]:
    """Return what is one token each: every character of Unicode's emoji, what they are joined with, and the corpus's
    emoji of several characters.

    Digits and signs of Latin-1 are left out: a byte-level tokenizer's alphabet is made of these.
    """
    characters = (chr(code) for code in range(0x100, 0x110000))
    single = [character for character in characters if _EMOJI.fullmatch(character)]
    known = [emoji for table in _TABLES for words in table.values() for emoji in words.emoji]
    known += [emoji for voice in VOICES.values() for emoji in voice.emoji]
    return tuple(dict.fromkeys([*single, _STYLE, _JOINER, _KEY, *known]))


def sign_text(rng: random.Random) -> str:
    """Return a plain line that teaches signs, or one without any, so that nothing else is forgotten.

    None is a post, none is about a picture.
    """
    kind = rng.random()
    if kind < 0.2:
        return describe(sample_scene(rng), rng)
    if kind < 0.65:
        return background_text(rng)
    return rng.choice((emoji_line, _tag_line, _reply))(rng)


def _any_words(rng: random.Random) -> SurfaceForms:
    return rng.choice(list(rng.choice(_TABLES).values()))


def _tag_line(rng: random.Random) -> str:
    """Write hashtags on a line of their own, under a list of words that have nothing to do with them."""
    words = ", ".join(rng.choice(_any_words(rng).prose) for _ in range(rng.randint(3, 6)))
    return f"Words: {words}\n{' '.join(f'#{_any_tag(rng)}' for _ in range(rng.randint(2, 7)))}"


def _any_tag(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(_any_words(rng).tags)
    return rng.choice(POPULAR) if kind < 0.7 else rng.choice(TAIL[rng.choice(list(TAIL))])


def _reply(rng: random.Random) -> str:
    """Say something with emoji behind it, as messages have them: any emoji, whatever is said."""
    voice = rng.choice(list(VOICES.values()))
    said = rng.choice((*voice.closers, *rng.choice(list(MOODS.values())).prose))
    return f"Someone replies: {said} {''.join(_any_emoji(rng) for _ in range(rng.randint(1, 4)))}"


def _any_emoji(rng: random.Random) -> str:
    return rng.choice(rng.choice(_VOICED).emoji if rng.random() < 0.4 else _any_words(rng).emoji)


def emoji_line(rng: random.Random) -> str:
    """Return a line about emoji in general: some with their neighbors in Unicode, or one with its name there."""
    if rng.random() < 0.1:
        return f"Signs of several parts: {' '.join(_composed(rng) for _ in range(4))}."
    signs = _signs()
    first = rng.randrange(len(signs))
    name = unicodedata.name(signs[first][0], "")
    if name and rng.random() < 0.3:
        return f"The sign {signs[first]} is called {name.lower()}."
    near = signs[first : first + 12]
    chosen = rng.sample(near, min(len(near), rng.randint(3, 8)))
    return f"Signs: {rng.choice(('', ' ')).join(chosen)}"


@cache
def _signs() -> tuple[str, ...]:
    """Return each emoji of one character as it is drawn, in Unicode's order."""
    alone = (token for token in emoji_tokens() if len(token) == 1 and _EMOJI.fullmatch(token))
    plain = (token for token in alone if not _LETTER.fullmatch(token) and not _TONE.fullmatch(token))
    return tuple(token if _DRAWN.fullmatch(token) else token + _STYLE for token in plain)


def _composed(rng: random.Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return "".join(chr(0x1F1E6 + ord(letter) - ord("A")) for letter in rng.choice(_COUNTRIES))
    if kind == 1:
        return rng.choice(_DIGITS) + _STYLE + _KEY
    if kind == 2:
        return rng.choice(_PEOPLE) + _JOINER + rng.choice(_SEXES) + _STYLE
    hands = [token for token in emoji_tokens() if _HAS_TONES.fullmatch(token)]
    return rng.choice(hands) + chr(rng.randint(0x1F3FB, 0x1F3FF))
