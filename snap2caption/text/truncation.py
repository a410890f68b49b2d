"""Truncation of text at the ends of words and sentences."""

from collections.abc import Callable
from itertools import accumulate

import regex as re

_WORD_EDGE = re.compile(r"\b", re.WORD)
"""Word boundaries by Unicode Standard Annex 29, which also finds words in scripts without spaces."""


SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
"""Matches the white space between two sentences, or between two lines."""

_COMPLETE = re.compile(r"[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？]++[」』）]*+|(?=\n)")
"""Matches the end of a sentence that another one follows. Chinese and Japanese have no white space there."""

_ENDED = re.compile(r"[.!?…。！？][\"'”’»」』)\]]?\Z|\p{Emoji_Presentation}\uFE0F?\Z|\uFE0F\Z")
"""Matches the end of a text whose last sentence is complete. Captions end sentences with emoji, too."""


def whole_sentences(text: str, most: int | None = None) -> str:
    """Return the complete sentences of an unfinished *text*: those that another one follows, at most *most* of them."""
    ends = [match.start() for match in SENTENCE_END.finditer(text)][:most]
    return text[: ends[-1]] if ends else ""


def without_half_sentence(text: str) -> str:
    """Return *text* without an incomplete last sentence; unchanged if that is its only one."""
    if _ENDED.search(text):
        return text
    ends = [match.end() for match in _COMPLETE.finditer(text)]
    return text[: ends[-1]] if ends else text


def cut(text: str, fits: Callable[[str], bool]) -> str:
    """Return the longest prefix of *text* that fits and ends at the end of a word; empty if none does.

    A single word that is too long is cut inside. If *fits* holds for a text, it must hold for every prefix of it.
    """
    graphemes = list(accumulate(len(character) for character in re.findall(r"\X", text)))
    edges = {match.start() for match in _WORD_EDGE.finditer(text)}
    for ends in ([end for end in graphemes if end in edges], graphemes):
        # Binary search for the longest prefix that fits.
        low, high = 0, len(ends)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(text[: ends[middle - 1]]) else (low, middle - 1)
        if low and (beginning := text[: ends[low - 1]].rstrip()):
            return beginning
    return ""
