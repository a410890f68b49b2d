"""Hashtag syntax: definition, extraction from text, and normal form.

A hashtag is ``#`` followed by letters, digits, underscores or marks of any script, at least one of them not a
digit (Unicode Technical Standard 31, profile for hashtags). Instagram's rules are the same, except that it also
allows emoji.
"""

import functools
import unicodedata
from collections.abc import Iterable

import regex as re

from snap2caption.text.segmentation import CHARACTER, EMOJI_MARKS, UNSPACED

MAX_LENGTH = 100
"""Characters in a hashtag, without the ``#``."""

# A hashtag never starts inside a word or an entity (``a#b``, ``&#39;``), but it may follow another hashtag without
# a space.
# A middle dot between two letters is part of a Catalan word (``#col·lecció``), and otherwise a separator. Combining
# marks of an emoji (``❤️#90s``) are not part of a word.
_TAG = rf"(?!\p{{M}}){CHARACTER}+(?:·{CHARACTER}+)*"
_BEFORE = rf"(?<={CHARACTER})"
_HASHTAG = re.compile(
    rf"(?<![&/@#＃])(?!{_BEFORE})[#＃]+({_TAG})|{_BEFORE}[#＃]+(?=\D{CHARACTER})({_TAG})", re.VERSION1
)
_WHOLE, _LETTER = re.compile(_TAG, re.VERSION1), re.compile(r"\p{L}")
_GLUE = re.compile(rf"[·{EMOJI_MARKS}]$")
# Summer is #夏 and spring is #봄, but a single letter of an alphabet is not a word.
_ONE_SAYS_ALL = re.compile(rf"[{UNSPACED}\p{{Hangul}}]")
_DIVIDERS = " \t·•|"
_SEPARATORS = f"{_DIVIDERS}.\ufe0f"


def normalize(tag: str) -> str | None:
    """Return the normal form of *tag* (NFKC, case folded, without ``#``), or None if it can't be a hashtag."""
    # A normal form is at most a few times shorter than the text. Longer texts are not cached.
    return _normalize(tag) if len(tag) <= 8 * MAX_LENGTH else None


@functools.lru_cache(maxsize=1 << 14)
def _normalize(tag: str) -> str | None:
    text = unicodedata.normalize("NFKC", tag).strip().lstrip("#＃")
    # Case folding may break the normal form, so normalize again.
    text = unicodedata.normalize("NFKC", text.casefold())
    if (
        (len(text) > 1 or _ONE_SAYS_ALL.match(text))
        and len(text) <= MAX_LENGTH
        and _WHOLE.fullmatch(text)
        and _LETTER.search(text)
    ):
        return text
    return None


def unique(tags: Iterable[str]) -> list[str]:
    """Return the normal forms of the valid *tags*, each once, in the order of their first appearance."""
    return list(dict.fromkeys(tag for tag in map(normalize, tags) if tag is not None))


def extract(text: str) -> list[str]:
    """Return the hashtags in *text* in normal form, each once, in the order of their first appearance."""
    return unique(map(_word, _find(unicodedata.normalize("NFC", text))))


def separate(text: str) -> tuple[str, list[str]]:
    """Split a caption into its prose and its hashtags.

    A hashtag inside a sentence keeps its word (``we love #chicago in June`` stays readable). A run of hashtags at
    the end of a line, or alone on it, is removed. Text that only looks like a hashtag (``we are #1``) stays.

    Returns:
        The prose, with white space folded to single spaces within a line, and the hashtags in normal form.
    """
    lines: list[str] = []
    tags: list[str] = []
    for line in unicodedata.normalize("NFC", text).splitlines():
        # What can't be a hashtag stays in the text.
        found = [(match, tag) for match in _find(line) if (tag := normalize(_word(match)))]
        tags += (tag for _, tag in found)
        lines.append(" ".join(_without_hashtags(line, [match for match, _ in found]).split()))
    prose = "\n".join(line for line in lines if line.strip(f"{_SEPARATORS}-_"))
    return prose, list(dict.fromkeys(tags))


def _find(text: str) -> list["re.Match[str]"]:
    # Most lines have no hashtag, and a search for the sign alone is fast.
    return list(_HASHTAG.finditer(text)) if "#" in text or "＃" in text else []


def _word(match: "re.Match[str]") -> str:
    return str(match[1] or match[2])


def _without_hashtags(line: str, matches: list["re.Match[str]"]) -> str:
    """Return *line* without the signs of its hashtags *matches*, and without those at its end."""
    end = len(line)
    while matches and not line[matches[-1].end() : end].strip(_SEPARATORS):
        end = matches.pop().start()
    if end < len(line):
        # Dividers between prose and hashtags are removed with the hashtags. A full stop belongs to the sentence.
        line = line[:end].rstrip(_DIVIDERS)
    for match in reversed(matches):
        before = line[: match.start()]
        # Without its sign, the word must not merge with the text before it.
        gap = " " if match[2] or _GLUE.search(before) else ""
        line = before + gap + _word(match) + line[match.end() :]
    return line
