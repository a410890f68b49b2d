"""Claims that words make about a photo: time of day, weather, season, place.

Two claims of the same kind contradict each other if they have no value in common. A hashtag is read like a
caption, word by word, so ``#rainydayvibes`` claims rain as "a rainy day" does, and ``#train`` does not.
``attributes.txt`` and ``places.txt`` list which words claim what.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources

import regex as re

from snap2caption.hashtags.compounds import fold, split_words


class ClaimKind(StrEnum):
    """What a claim is about."""

    TIME = "time"
    WEATHER = "weather"
    SEASON = "season"
    PLACE = "place"


Claims = Mapping[ClaimKind, frozenset[str]]
"""The values that something leaves possible, by kind; a kind that it says nothing of is not there."""

_NEGATIONS = frozenset(
    ["no", "not", "never", "without", "after", "before", "kein", "keine", "ohne", "sans", "sin", "senza", "sem"]
)
_REACH = 2
"""Words that may stand between a negation and what it denies: "not a cloudy day"."""

_MORE = 2
"""Words more than it has that a term may be divided into."""

_CLAUSE = re.compile(r"[.!?,;:…。！？、\n]+")


def claims(text: str) -> Claims:
    """Return what a caption, a place or a hashtag claims.

    If it names several values of a kind, all of them are possible. A negated claim does not count.
    """
    return _claims(text)


def is_name_of_place(tag: str) -> bool:
    """Whether a hashtag is the name of a place and nothing more: ``newyork``, but not ``newyorklife``."""
    return ClaimKind.PLACE in _lexicon().said.get(fold(tag), {})


def merge(said: Claims, other: Claims) -> Claims:
    """Return *said*, completed by *other* for those kinds that *said* has no claims of."""
    return {**other, **said}


def agree(one: Claims, other: Claims) -> bool:
    """Whether both sets of claims can be true of one photo."""
    return all(one[kind] & other[kind] for kind in one.keys() & other.keys())


def load_claims() -> None:
    """Load the word lists now, so that no request waits for them."""
    claims("now")


@lru_cache(maxsize=1 << 15)
def _claims(text: str) -> Claims:
    said: dict[ClaimKind, frozenset[str]] = {}
    fitting: dict[ClaimKind, frozenset[str]] = {}
    lexicon = _lexicon()
    for clause in _CLAUSE.split(text):
        for term in _terms(clause):
            for kind, values in lexicon.said.get(term, {}).items():
                said[kind] = said.get(kind, frozenset()) | values
            for kind, values in lexicon.fitting.get(term, {}).items():
                fitting[kind] = fitting.get(kind, values) & values
    return merge(said, {kind: values for kind, values in fitting.items() if values})


def _terms(clause: str) -> Iterator[str]:
    """Yield the terms in *clause*, the longest of overlapping ones. Their words are joined, as in hashtags."""
    lexicon = _lexicon()
    words = split_words(clause, lexicon.words)
    start = 0
    while start < len(words):
        # A term may be split into more words than it is written in.
        for stop in range(min(len(words), start + lexicon.longest + _MORE), start, -1):
            term = "".join(words[start:stop])
            if term in lexicon.terms:
                if not _NEGATIONS & set(words[max(0, start - _REACH) : start]):
                    yield term
                start = stop
                break
        else:
            start += 1


@dataclass(frozen=True, slots=True)
class _Lexicon:
    """The terms of ``attributes.txt`` and ``places.txt``, with their words joined, and what each claims."""

    said: dict[str, dict[ClaimKind, frozenset[str]]]
    fitting: dict[str, dict[ClaimKind, frozenset[str]]]
    terms: frozenset[str]
    words: frozenset[str]
    """The words that terms are made of."""
    longest: int
    """Words of the longest term."""


@cache
def _lexicon() -> _Lexicon:
    said: dict[str, dict[ClaimKind, frozenset[str]]] = {}
    fitting: dict[str, dict[ClaimKind, frozenset[str]]] = {}
    spelled: list[str] = []
    for head, terms in map(_split, _lines("attributes.txt")):
        spelled += terms
        force, *claimed = head.split()
        if claimed:
            kind, *values = claimed
            for term in terms:
                (said if force == "says" else fitting).setdefault(_join(term), {})[ClaimKind(kind)] = frozenset(values)
    for names, cities in _places():
        spelled += names
        said |= {_join(name): {ClaimKind.PLACE: cities} for name in names}
    return _Lexicon(
        said,
        fitting,
        frozenset(map(_join, spelled)),
        # Shorter words are known anyway, or would be found inside others.
        frozenset(word for term in spelled for word in term.split() if len(word) > 2),
        max(len(term.split()) for term in spelled),
    )


def _places() -> Iterator[tuple[list[str], frozenset[str]]]:
    """Yield the names of a place with the cities they leave possible: a city's name only itself, a country's all its
    cities.
    """
    for line in _lines("places.txt"):
        countries, _, listed = line.partition(":")
        cities = [[fold(name).strip() for name in city.split("=")] for city in listed.split(",")]
        for names in cities:
            yield names, frozenset({_join(names[0])})
        country = [fold(name).strip() for name in countries.split(",")]
        yield country, frozenset(_join(names[0]) for names in (country, *cities))


def _split(line: str) -> tuple[str, list[str]]:
    head, _, listed = line.partition(":")
    return head, [fold(term).strip() for term in listed.split(",")]


def _lines(file: str) -> list[str]:
    lines = resources.files(__package__).joinpath(file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("//")]


def _join(term: str) -> str:
    return "".join(term.split())
