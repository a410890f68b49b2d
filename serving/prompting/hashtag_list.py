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

_BETWEEN_HASHTAGS = (
    r"[\s\"'“”*_•·,;|.&/+()\[\]、，；…\-–—\p{Extended_Pictographic}\p{Emoji_Modifier}\p{RI}\u200D\uFE0F]"
)

HASHTAG_LINE = re.compile(
    rf"(?:{_BETWEEN_HASHTAGS}|\d{{1,2}}[.)]\s){{0,12}}(?:[#＃]+[^\s#＃]{{1,120}}(?:{_BETWEEN_HASHTAGS}|\d{{1,2}}[.)]\s){{0,12}})++"
)
"""Matches a line of hashtags, perhaps with emoji, numbers or commas between them."""

_SPACED_LINE = re.compile(
    rf"(?:[#＃][\p{{L}}\p{{N}}\p{{M}}_]{{1,40}}(?:\s[\p{{L}}\p{{N}}\p{{M}}_]{{1,40}}){{0,2}}{_BETWEEN_HASHTAGS}{{0,6}}){{2,40}}"
)
"""Matches a line of hashtags of several words: ``#golden hour #city lights``."""

_CLOSING_SIGN = re.compile(r"(?<=[#＃][\p{L}\p{N}\p{M}_]{1,40})[#＃](?=[\s#＃]|\Z)")
"""Matches the second sign of a hashtag on Weibo: ``#猫#``."""

_END = re.compile(r"(?:[ \t·•|–—(\[]{0,4}+[#＃][^\s#＃\"”“»«]++)++[\s.·•|)\]]*+\Z")
"""Matches a run of hashtags at the end of a text."""

_SEPARATE_END = re.compile(
    r"(?<=\A|[\n.!?…。！？\"”»)\p{Extended_Pictographic}\uFE0F][ \t]?)"
    rf"[ \t·•|–—(\[]{{0,4}}[#＃][^\s#＃]{{1,120}}(?:{_BETWEEN_HASHTAGS}{{0,12}}[#＃]+[^\s#＃]{{1,120}}){{0,60}}{_BETWEEN_HASHTAGS}{{0,12}}\Z"
)
"""Matches a run of hashtags behind the last sentence, perhaps with emoji or commas between them."""

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


def without_closing_signs(text: str) -> str:
    """Return *text* with one sign for each hashtag, where it has one on both sides."""
    return str(_CLOSING_SIGN.sub("", text))


def is_spaced_list(line: str) -> bool:
    """Whether a line below a caption is a list of hashtags of several words each."""
    return _SPACED_LINE.fullmatch(line) is not None


def read_hashtag_list(text: str) -> list[str]:
    """Return the hashtags of a list in normal form: ``#a #b``, ``a, b``, or one entry of a list with marks.

    The words of an entry without a sign are joined. A text without any sign that has a longer entry is no list.
    """
    if _SPACED_LINE.fullmatch(text.strip()):
        return unique(_NEVER.sub("", entry) for entry in re.split("[#＃]", text))
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
    return str(_END.sub("", _IN_SENTENCE.sub("", _SEPARATE_END.sub("", text)))).strip()


def split_hashtags(text: str) -> tuple[str, list[str]]:
    """Return the caption in *text* without quotation marks around it, and the hashtags of the text in normal form.

    A hashtag inside a sentence keeps its word. A run of hashtags at the end is removed.
    """
    return separate(without_quotes(without_last_hashtags(text)))[0], extract(text)
