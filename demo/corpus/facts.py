"""Ground-truth matching: which city, subject, time of day and weather a post names."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from demo.corpus.lexicon import CITIES, SUBJECTS, TIMES, WEATHERS, SurfaceForms
from demo.scenes.scene import City, Scene, Subject, Time, Weather
from snap2caption import hashtags

_Value = TypeVar("_Value", bound=StrEnum)


class Facts(NamedTuple):
    """What a text names, kind by kind."""

    city: frozenset[City]
    subject: frozenset[Subject]
    time: frozenset[Time]
    weather: frozenset[Weather]


class _Finder:
    """Finds every cue in a text; where cues overlap, the longer one counts (a hot dog is no dog)."""

    def __init__(self, tables: Iterable[Mapping[Any, SurfaceForms]]) -> None:
        self.cues: dict[str, StrEnum] = {}
        self.tags: dict[str, StrEnum] = {}
        for table in tables:
            for value, words in table.items():
                self.cues.update(dict.fromkeys(words.cues, value))
                self.tags.update(dict.fromkeys(words.tags, value))
        longest_first = sorted(self.cues, key=len, reverse=True)
        self.pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")

    def find(self, text: str) -> set[StrEnum]:
        """Return the values that *text* names in its prose or by its hashtags."""
        lowered = " ".join(text.lower().split())
        found = {self.tags[tag] for tag in hashtags.extract(text) if tag in self.tags}
        prose = re.sub(r"[#＃@][\w.]+|https?://\S+", " . ", lowered)
        return found | {self.cues[match] for match in self.pattern.findall(prose)}


@lru_cache(maxsize=1)
def _finders() -> tuple[_Finder, _Finder]:
    # Cities have a finder of their own: "the London Eye" names a city as well as a landmark.
    return _Finder([CITIES]), _Finder([SUBJECTS, TIMES, WEATHERS])


def _only(found: set[StrEnum], kind: type[_Value]) -> frozenset[_Value]:
    return frozenset(value for value in found if isinstance(value, kind))


def facts_in(text: str) -> Facts:
    """Return what *text* (a post, with or without its hashtags) names."""
    cities, rest = (finder.find(text) for finder in _finders())
    return Facts(_only(cities, City), _only(rest, Subject), _only(rest, Time), _only(rest, Weather))


def named(scene: Scene, text: str) -> dict[str, bool]:
    """Return, for ``city``, ``subject``, ``time`` and ``weather``, whether *text* names what *scene* shows and no
    other value of that kind.
    """
    facts = facts_in(text)
    return {
        "city": facts.city == {scene.city},
        "subject": facts.subject == {scene.subject},
        "time": facts.time == {scene.time},
        "weather": facts.weather == {scene.weather},
    }
