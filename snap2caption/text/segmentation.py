"""Text segmentation: words and emoji, by one definition for every part of the project.

A word is a run of letters and digits of any script with their combining marks, joined by apostrophes, underscores
and Catalan's middle dot (``it's``, ``col·lecció``); other characters separate words. Scripts without spaces
between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are segmented into characters, as sacreBLEU's ``zh``
and ``char`` tokenizers do; more exactly, into grapheme clusters, so that a vowel sign stays with its consonant.
Source: Unicode Standard Annex 29, except that numbers and addresses are split at full stops and commas.

An emoji is whatever is drawn as one picture: a flag, a family of joined emoji, a keycap, a hand with its skin
tone. Source: Unicode Technical Standard 51.
"""

import unicodedata

import regex as re

EMOJI_MARKS = r"\uFE00-\uFE0F\u20E3"
"""Combining marks that belong to emoji (variation selectors, keycaps) and not to words."""

CHARACTER = rf"[[\w\p{{M}}]--[{EMOJI_MARKS}]]"
"""A character of words and hashtags. This needs `regex` with VERSION1: the ``\\w`` of `re` leaves out the vowel signs of
Hindi, which are marks.
"""

_APOSTROPHES = "'’‘ʼʻ＇´`′‛"
_APOSTROPHE = re.compile(f"[{_APOSTROPHES}]")

UNSPACED = r"\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Bopomofo}\p{Yi}\p{Line_Break=Complex_Context}"
"""Characters of scripts without spaces between words, for use in a `regex` set."""

# Set operations (V1) are several times faster than lookaheads. Soft hyphens and joiners occur inside words and are
# invisible.
_SPACED = rf"[[\w\p{{M}}\u00AD\u200C\u200D]--[\p{{Pc}}{_APOSTROPHES}{EMOJI_MARKS}{UNSPACED}]]"
# A number in a keycap is an emoji.
_RUN = rf"(?![\p{{M}}\p{{Default_Ignorable_Code_Point}}]|[0-9]\uFE0F?\u20E3){_SPACED}+"
# Most words are ASCII and end at one of these signs. Checking for that first halves the time.
_PLAIN = r"[0-9A-Za-z]++(?=[ \n.,!?:;)]|$)"
_WORD = re.compile(
    rf"{_PLAIN}|{_RUN}(?:(?:\p{{Pc}}+|[·{_APOSTROPHES}]){_RUN})*|(?=[\p{{L}}&&[{UNSPACED}]])\X\p{{M}}*", re.VERSION1
)
_IGNORABLE = re.compile(r"\p{Default_Ignorable_Code_Point}+")

# A pictograph with its skin tones and tags (which turn a black flag into that of Wales), and what is joined to it.
# Signs such as © are text unless a variation selector requests emoji style; pictographs are text if one requests
# text style.
_PICTOGRAPH = r"(?![©®™](?!\uFE0F))\p{Extended_Pictographic}(?!\uFE0E)[\p{Emoji_Modifier}\uFE0F\U000E0020-\U000E007F]*"
_EMOJI = re.compile(
    rf"{_PICTOGRAPH}(?:\u200D{_PICTOGRAPH})*|\p{{Regional_Indicator}}{{2}}|[0-9#*]\uFE0F?\u20E3|\p{{Emoji_Modifier}}"
)


def find_words(text: str) -> list[str]:
    """Return the words of *text* as they are written."""
    return list(_WORD.findall(text))


def fold_words(text: str) -> list[str]:
    """Return the words of *text* in a normal form for comparison.

    Compatibility forms are unified (NFKC), case is folded, every apostrophe becomes ``'``, and invisible
    characters are removed: ``It’s``, ``it`s`` and ``IT'S`` are one word.
    """
    # Do this before NFKC, which turns an acute sign into a space and an accent.
    seen = _IGNORABLE.sub("", _APOSTROPHE.sub("'", text))
    # Case folding may break the normal form, so normalize again.
    return find_words(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold()))


def fold(text: str) -> str:
    """Return a key that is equal for texts that say the same: the words from `fold_words`, or the signs of a text
    without words.
    """
    return " ".join(fold_words(text)) or unicodedata.normalize("NFKC", text).casefold()


def find_emoji(text: str) -> list["re.Match[str]"]:
    """Return the positions of the emoji in *text*."""
    return list(_EMOJI.finditer(text))
