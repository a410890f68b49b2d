"""Hashtags in model replies: in sentences, in a run at the end, and in lists, with or without their signs."""

import regex as re

from serving.prompting.quotes import without_quotes
from snap2caption.hashtags import extract, separate, unique

_MOST_WORDS = 3
"""The most words of a list's entry that is one hashtag."""

_BETWEEN = re.compile(r"[,;，；、\n|·•]")
_ITEM = re.compile(r"\A\s{0,10}(?:\(?\d{1,2}[.)]\s|[-*•●▪–]\s)")
_NEVER = re.compile(r"[^\w\p{M}]")
_SENTENCE = re.compile(r"[.!?:](?:\s|\Z)")

_END = re.compile(r"(?:[ \t·•|]*+[#＃][^\s#＃\"”“»«]++)++[\s.·•|]*+\Z")
"""Matches a run of hashtags at the end of a text."""

_FUNCTION_WORD = (
    r"(?:in|at|of|the|a|an|to|for|with|and|my|our|your|from|on|this|by|is|are|was|im|am|von|der|die|das|mit|und|für|zu|"
    r"ist|de|del|la|el|los|las|le|les|du|en|à|au|y|et|e|con|para|por|pour|avec|est|es|di|il|lo|un|una|une|da|do|na|no|em|"
    r"com|per|van|het|een|met|w|z|na|i|в|на|с|и|из)"
)
_IN_SENTENCE = re.compile(
    rf"(?<=\b{_FUNCTION_WORD}\s)[#＃](?=[\p{{L}}])|(?<=[\p{{L}},]\s)[#＃](?=[\p{{L}}][\w]{{0,60}}[.!?](?:\s|\Z))",
    re.IGNORECASE,
)
"""Matches the sign of a hashtag that a sentence needs: ``streets of #Paris``, ``I love #Paris!``"""


def read_hashtag_list(text: str) -> list[str]:
    """Return the hashtags of a list in normal form: ``#a #b``, ``a, b``, or one entry of a list with marks.

    The words of an entry without a sign are joined. A text without any sign that has a longer entry is no list.
    """
    tags: list[str] = []
    signed = "#" in text or "＃" in text
    for entry in _BETWEEN.split(text):
        if "#" in entry or "＃" in entry:
            tags += extract(entry)
            continue
        words = _ITEM.sub("", entry).split()
        if len(words) <= _MOST_WORDS and not _SENTENCE.search(entry.rstrip(". ")):
            tags += unique([_NEVER.sub("", "".join(words))])
        elif not signed:
            return []
    return unique(tags)


def without_last_hashtags(text: str) -> str:
    """Return *text* without the run of hashtags at its end. A hashtag that its sentence needs loses its sign."""
    return str(_END.sub("", _IN_SENTENCE.sub("", text))).strip()


def split_hashtags(text: str) -> tuple[str, list[str]]:
    """Return the caption in *text* without quotation marks around it, and the hashtags of the text in normal form.

    A hashtag inside a sentence keeps its word. A run of hashtags at the end is removed.
    """
    return separate(without_quotes(without_last_hashtags(text)))[0], extract(text)
