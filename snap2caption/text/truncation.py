"""Cutting a text to what fits, at the end of a word."""

from collections.abc import Callable
from itertools import accumulate

import regex as re

_WORD_EDGE = re.compile(r"\b", re.WORD)
"""Where words end by Unicode Standard Annex 29, which finds words in scripts without spaces too."""


def cut(text: str, fits: Callable[[str], bool]) -> str:
    """Return the longest beginning of *text* that fits: up to the end of a word, or within a word that is longer than that; empty if none does.

    *fits* must hold for every beginning of what it holds for.
    """
    graphemes = list(accumulate(len(character) for character in re.findall(r"\X", text)))
    edges = {match.start() for match in _WORD_EDGE.finditer(text)}
    for ends in ([end for end in graphemes if end in edges], graphemes):
        # So the longest that fits is found by halving.
        low, high = 0, len(ends)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(text[: ends[middle - 1]]) else (low, middle - 1)
        if low and (beginning := text[: ends[low - 1]].rstrip()):
            return beginning
    return ""
