"""Truncation of text at word boundaries."""

from collections.abc import Callable
from itertools import accumulate

import regex as re

_WORD_EDGE = re.compile(r"\b", re.WORD)
"""Word boundaries by Unicode Standard Annex 29, which also finds words in scripts without spaces."""


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
