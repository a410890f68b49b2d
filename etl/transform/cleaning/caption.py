"""Cleaning a caption."""

import html
import unicodedata

import regex as re

from etl.transform.cleaning.mojibake import repair
from snap2caption import hashtags
from snap2caption.text.invisible_characters import BLANK, UNSEEN, is_seen
from snap2caption.text.segmentation import UNSPACED

_LAYERS = 16
"""Programs that a caption came through, one after the other, each of which may have written entities for it or mistaken its characters."""

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")

# An address ends before another script, as in 詳細はhttps://example.com/abcを見て, unless its host's names are written in that script; what ends a
# sentence is not its end.
_OTHER = r"[^\W\p{ASCII}]+"
_START = rf"@?https?://(?:{_OTHER}(?:\.{_OTHER})+(?:/\S*)?)?|(?<![\p{{Latin}}0-9_])www\."
_URL = rf"(?i:{_START})[!-~\p{{Latin}}＃]*(?<![.,!?;:)\]\}}'\"])"
# As Instagram has names: of ASCII alone, and no full stop at an end. Not an e-mail address's second half, and no name with an accent.
_MENTION = r"(?<![A-Za-z0-9_@])(?>(?:@[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?)+)(?![\p{Latin}\p{M}])"
# A run of blanks is looked at once, from its beginning: not from each of its blanks, nor for each shorter run.
_REMOVED = re.compile(rf"(?<![ \t])([ \t]*+)(?:{_URL}|{_MENTION})(?:[ \t]*+(?:{_URL}|{_MENTION}))*([ \t]*+)")
_WRITES_NO_SPACE = re.compile(f"[{UNSPACED}]")
_CLOSING = ".,!?;:)]}"
"""What a removed word left a space before. Spaces that the writer put there, as French has them, stay."""


def clean(text: str) -> tuple[str, list[str]]:
    """Return a caption's prose and its hashtags.

    Entities of HTML (``&amp;``) and mojibake become what was meant. URLs, mentions, invisible and direction-changing characters go; white
    space is folded; hashtags inside a sentence keep their word (`hashtags.separate`). Emoji stay. Prose of which nothing is seen is empty.
    """
    text = _restore(text)
    # Most captions have neither, and looking for the signs alone takes no time.
    if "@" in text or "://" in text or "www." in text.lower():
        text = _REMOVED.sub(_gap, text)
    prose, tags = hashtags.separate(text)
    return (prose if is_seen(prose) else ""), tags


def _restore(text: str) -> str:
    """Return *text* without entities, mojibake and what is not seen. Each may hide another, so this goes on until nothing changes.

    What hides under more than `_LAYERS` is empty: nobody wrote it, and to unfold it takes time that grows by the square of its length.
    """
    for _ in range(_LAYERS):
        restored = _decode(repair(text))
        if restored == text:
            return text
        text = restored
    return ""


def _decode(text: str) -> str:
    """Return *text* in its normal form without entities and what is not seen, each of which may be part of the other."""
    text = unicodedata.normalize("NFC", text)
    for _ in range(_LAYERS):
        seen = BLANK.sub(" ", UNSEEN.sub("", text))
        decoded = _ENTITY.sub(lambda entity: html.unescape(entity[0]), seen) if "&" in seen else seen
        if decoded == text:
            return text
        text = decoded
    return ""


def _gap(removed: "re.Match[str]") -> str:
    """Return what stands in place of what was removed: a space, but where its neighbors are written without."""
    before, after = removed.string[: removed.start()][-1:], removed.string[removed.end() :][:1]
    if after and after in _CLOSING:
        return ""
    if not removed[1] and not removed[2] and any(map(_WRITES_NO_SPACE.match, (before, after))):
        return ""
    return " "
