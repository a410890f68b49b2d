"""Phrase search: whether a text has one of many phrases, by the words that each must have.

glin-profanity looks single words up in a set, and tries a pattern of all its phrases at every position of the text,
four times for a caption: nine tenths of its time. A phrase can only be there if its longest word is.
"""

import re
from collections.abc import Iterable
from typing import Protocol

from glin_profanity import Filter
from glin_profanity.filters.word_matcher import word_pattern

_WORD = re.compile(r"[a-z0-9_]+")
"""A word as glin-profanity bounds it: ASCII only, so that ``éasshole`` has a listed word."""


class _Pattern(Protocol):
    def search(self, text: str, /) -> re.Match[str] | None: ...


class PhraseSearch:
    """The search for any of *phrases* in lowercase text, as `re.search` of all of them would answer it.

    A match of any phrase is returned, not necessarily the first.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_word: dict[str, list[re.Pattern[str]]] = {}
        others = []
        for phrase in phrases:
            pattern = word_pattern(phrase)
            words = _WORD.findall(phrase)
            if words:
                self._by_word.setdefault(max(words, key=len), []).append(re.compile(pattern))
            else:  # of another script
                others.append(pattern)
        self._others: _Pattern | None = re.compile("|".join(others)) if others else None

    def search(self, text: str) -> re.Match[str] | None:
        """Return a match in *text*, or None."""
        for word in self._by_word.keys() & set(_WORD.findall(text)):
            for pattern in self._by_word[word]:
                if (found := pattern.search(text)) is not None:
                    return found
        return None if self._others is None else self._others.search(text)


def speed_up(profanity: Filter) -> Filter:
    """Return *profanity* with its search for phrases replaced by `PhraseSearch`. It finds the same.

    A version of the library that searches otherwise stays as it is.
    """
    scanner = getattr(profanity, "_scanner", None)
    phrases = getattr(scanner, "_rest", None)
    if scanner is not None and phrases and hasattr(scanner, "_rest_any"):
        scanner._rest_any = PhraseSearch(phrases)
    return profanity
