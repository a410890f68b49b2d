"""Hashtags: what is one, how to find it in a text, and its normal form.

A hashtag is ``#`` followed by letters, digits, underscores or marks of any script, at least one of them not a digit
(Unicode Technical Standard 31, profile for hashtags; Instagram's rules are the same but for emoji, which it allows and we leave out).
"""

import unicodedata
from collections.abc import Iterable

import regex as re

MAX_LENGTH = 100
"""Characters in a hashtag, without the ``#``."""

# A hashtag never starts inside a word or an entity (``a#b``, ``&#39;``), but may follow another hashtag without a space.
# `regex`, not `re`: a vowel sign of Hindi is a mark, which `\w` of `re` leaves out.
_TAG = r"[\w\p{M}·]"
_HASHTAG = re.compile(rf"(?:(?<=^)|(?<=[^\w&/]))[#＃]({_TAG}+)|(?<=\w)[#＃](?=\D)({_TAG}{{2,}})")


def normalise(tag: str) -> str | None:
    """Return the normal form of *tag* (NFKC, case folded, without ``#``), or None if it can't be a hashtag."""
    text = unicodedata.normalize("NFKC", tag).strip().lstrip("#＃").casefold()
    if (
        not 2 <= len(text) <= MAX_LENGTH
        or not re.fullmatch(rf"{_TAG}+", text)
        or text.replace("_", "").isdigit()
        or not text.strip("_")
    ):
        return None
    return text


def unique(tags: Iterable[str]) -> list[str]:
    """Return the normal forms of the valid *tags*, each once, in the order of their first appearance."""
    return list(dict.fromkeys(tag for tag in map(normalise, tags) if tag is not None))


def extract(text: str) -> list[str]:
    """Return the hashtags in *text* in normal form, each once, in the order of their first appearance."""
    return unique(first or second for first, second in _HASHTAG.findall(unicodedata.normalize("NFC", text)))


def separate(text: str) -> tuple[str, list[str]]:
    """Split a caption into its prose and its hashtags.

    A hashtag inside a sentence keeps its word (``we love #chicago in June`` stays readable); a run of hashtags at the end of the text, or
    alone on a line, goes.

    Returns:
        The prose, with white space folded to single spaces within a line, and the hashtags in normal form.
    """
    text = unicodedata.normalize("NFC", text)
    tags = extract(text)
    lines = []
    for line in text.splitlines():
        body = re.sub(rf"(?:\s*[#＃]{_TAG}+)+\s*[.·•|]*\s*$", "", line)
        body = _HASHTAG.sub(lambda match: match[1] or " " + match[2], body)
        body = re.sub(r"\s+", " ", body).strip()
        if body.strip(".·•|-_ "):
            lines.append(body)
    return "\n".join(lines), tags
