"""Patterns for lists of phrases."""

import regex as re


def any_of(words: str) -> str:
    """Return a pattern for the alternatives in *words*, separated by ``/`` or line breaks; a space is any white space.

    An apostrophe is optional or of any kind.
    """
    alternatives = (word.strip() for word in re.split(r"[/\n]", words) if word.strip())
    return "(?:" + "|".join(word.replace(" ", r"\s{1,3}").replace("'", "['’`]?") for word in alternatives) + ")"
