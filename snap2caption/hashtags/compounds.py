"""Word segmentation of compounds: ``rainydayvibes`` is rainy, day, vibes.

The English words are those of SymSpell's frequency list.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import regex as re

from snap2caption.text.segmentation import find_words

if TYPE_CHECKING:
    from symspellpy import SymSpell

_ENGLISH = re.compile(r"[a-z]{4,}")
_OFTEN = 100_000_000
"""The frequency that known words get in SymSpell's list: about that of `city`."""


def split_words(text: str, known: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the words of *text*, with compounds split: case folded, Latin letters without accents.

    Words in *known* stay whole, such as names and words of other languages.
    """
    segmenter = _segmenter(frozenset(known))
    return tuple(part for word in find_words(fold(text)) for part in _divide(word, segmenter))


def fold(text: str) -> str:
    """Return *text* case folded, with its Latin letters without accents."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", letters))


@lru_cache(maxsize=1 << 15)
def _divide(word: str, segmenter: "SymSpell") -> tuple[str, ...]:
    if not _ENGLISH.fullmatch(word):
        return (word,)
    found: str = segmenter.word_segmentation(word, max_edit_distance=0).corrected_string
    return tuple(found.split())


@cache
def _segmenter(known: frozenset[str]) -> "SymSpell":
    """Return the segmenter for English words, weighted by their frequency (Google's Ngrams and SCOWL), and *known*
    words.
    """
    from symspellpy import SymSpell

    segmenter = SymSpell(max_dictionary_edit_distance=0)
    listed = resources.files("symspellpy").joinpath("frequency_dictionary_en_82_765.txt")
    lines = (line.split() for line in listed.read_text("utf-8-sig").splitlines())
    counts = {word: int(count) for word, count in lines}
    longest = max(counts, key=len)
    # Its own loader also indexes spelling errors, which takes half a second and which segmentation does not use.
    # It has to be told of the longest word: it looks for words up to that length.
    segmenter.create_dictionary_entry(longest, counts.pop(longest))
    segmenter.words.update(counts)
    for word in known:
        segmenter.create_dictionary_entry(word, _OFTEN)
    return segmenter
