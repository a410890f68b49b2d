"""Caption cleaning: entities, mojibake, URLs and mentions."""

import html
import unicodedata

import regex as re

from etl.transform.cleaning.mojibake import repair
from snap2caption import hashtags
from snap2caption.text.invisible_characters import BLANK, UNSEEN, is_seen
from snap2caption.text.segmentation import UNSPACED

_LAYERS = 16
"""Number of programs that a caption may have passed through, each of which may have escaped it or misread its
encoding.
"""

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")

# A URL ends where another script begins, as in 詳細はhttps://example.com/abcを見て, unless its host name is
# written in that script. Punctuation that ends a sentence is not part of it.
_OTHER = r"[^\W\p{ASCII}]+"
_START = rf"@?https?://(?:{_OTHER}(?:\.{_OTHER})+(?:/\S*)?)?|(?<![\p{{Latin}}0-9_])www\."
_URL = rf"(?i:{_START})[!-~\p{{Latin}}＃]*(?<![.,!?;:)\]\}}'\"])"
# Instagram's user names: ASCII only, without a period at the end. Not the second half of an e-mail address, and
# no name with an accent.
_MENTION = r"(?<![A-Za-z0-9_@])(?>(?:@[A-Za-z0-9_](?:[A-Za-z0-9_.]*[A-Za-z0-9_])?)+)(?![\p{Latin}\p{M}])"
# A run of blanks is matched once, from its start: not from each of its blanks, nor for each shorter run.
_REMOVED = re.compile(rf"(?<![ \t])([ \t]*+)(?:{_URL}|{_MENTION})(?:[ \t]*+(?:{_URL}|{_MENTION}))*([ \t]*+)")
_WRITES_NO_SPACE = re.compile(f"[{UNSPACED}]")
_CLOSING = ".,!?;:)]}"
"""Punctuation before which a removed word leaves no space. Spaces that the writer put there, as in French, stay."""


def clean(text: str) -> tuple[str, list[str]]:
    """Return a caption's prose and its hashtags.

    HTML entities (``&amp;``) and mojibake become the characters that were meant. URLs, mentions, and invisible
    and direction-changing characters are removed. White space is folded. Hashtags inside a sentence keep their
    word (`hashtags.separate`). Emoji stay. Prose without a visible character becomes empty.
    """
    prose, tags = _strip(_restore(text))
    for _ in range(_LAYERS):
        # What is left may look like mojibake once a mention or a hashtag's sign between its characters is gone.
        restored = _restore(prose)
        if restored == prose:
            return (prose if is_seen(prose) else ""), tags
        prose, more = _strip(restored)
        tags = hashtags.unique([*tags, *more])
    return "", tags


def _strip(text: str) -> tuple[str, list[str]]:
    """Return *text* without URLs, mentions and hashtags, and the hashtags."""
    # Most captions have neither URLs nor mentions, and looking for the characters alone takes no time.
    if "@" in text or "://" in text or "www." in text.lower():
        text = _REMOVED.sub(_gap, text)
    return hashtags.separate(text)


def _restore(text: str) -> str:
    """Return *text* without entities, mojibake and invisible characters.

    Each may hide another, so this repeats until nothing changes. Text with more than `_LAYERS` layers becomes
    empty: no person writes it, and unfolding it takes time quadratic in its length.
    """
    for _ in range(_LAYERS):
        restored = _decode(repair(text))
        if restored == text:
            return text
        text = restored
    return ""


def _decode(text: str) -> str:
    """Return *text* in NFC without entities and invisible characters, each of which may be part of the other."""
    text = unicodedata.normalize("NFC", text)
    for _ in range(_LAYERS):
        seen = BLANK.sub(" ", UNSEEN.sub("", text))
        decoded = _ENTITY.sub(lambda entity: html.unescape(entity[0]), seen) if "&" in seen else seen
        if decoded == text:
            return text
        text = decoded
    return ""


def _gap(removed: "re.Match[str]") -> str:
    """Return the replacement for removed text: a space, unless the neighbors' script is written without spaces."""
    before, after = removed.string[: removed.start()][-1:], removed.string[removed.end() :][:1]
    if after and after in _CLOSING:
        return ""
    if not removed[1] and not removed[2] and any(map(_WRITES_NO_SPACE.match, (before, after))):
        return ""
    return " "
