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
    with resources.as_file(listed) as path:
        segmenter.load_dictionary(str(path), term_index=0, count_index=1)
    for word in known:
        segmenter.create_dictionary_entry(word, _OFTEN)
    return segmenter
