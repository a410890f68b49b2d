"""What is never posted: profanity and slurs, by the word lists of glin-profanity (MIT licence).

Whole words are compared, also with letters exchanged (``sh1t``) or spaced (``f u c k``), so Scunthorpe, Cockfosters and Penistone pass.
"""

import re
from functools import cache
from typing import get_args

from glin_profanity import Filter
from glin_profanity.types.types import Language

_ENGLISH = "english"
_KNOWN = frozenset(get_args(Language))


def find_unsafe(text: str, *, language: str | None = None, said: str = "") -> list[str]:
    """Return the words of *text* that are not fit to be posted.

    Args:
        text: a caption, or a hashtag.
        language: of the text, in English words, such as German; English counts always.
        said: what the creator named herself, such as the place: its words pass (``Dick's Diner``).
    """
    languages = {_ENGLISH, (language or _ENGLISH).strip().casefold()} & _KNOWN
    found = _filter(tuple(sorted(languages))).check_profanity(text)["profane_words"]
    hers = set(re.findall(r"\w+", said.casefold()))
    return [word for word in found if word.casefold() not in hers]


@cache
def _filter(languages: tuple[str, ...]) -> Filter:
    return Filter({"languages": list(languages)})
