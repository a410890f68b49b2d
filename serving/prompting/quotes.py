"""Quotation marks around a whole caption, in the pairs of many languages."""

from dataclasses import dataclass
from enum import Enum, auto

import regex as re

_CLOSING = {
    '"': '"”', "“": '”"“', "”": "”", "„": '“”"', "«": "»", "»": "«", "‹": "›", "›": "‹",
    "'": "'’", "‘": "’'", "‚": "‘’", "「": "」", "『": "』",
}  # fmt: skip
_APOSTROPHES = "'’‘"
_SAYS = re.compile(r"[\p{L}\p{N}]")


class Quoted(Enum):
    """How the quotation mark at the beginning of a text is used."""

    NOT = auto()
    """There is none, or it belongs to the text: ``"Coffee first," she said.``"""
    OPEN = auto()
    """It has not been closed yet."""
    WHOLE = auto()
    """The whole text is quoted, perhaps except for emoji and punctuation behind it."""


@dataclass(frozen=True, slots=True)
class QuotedText:
    """A text, and how it is quoted."""

    kind: Quoted
    plain: str
    """The text without the quotation marks if it is quoted as a whole, otherwise the text itself."""


def find_quotes(text: str) -> QuotedText:
    """Return how *text*, which has no white space around it, is quoted."""
    closing = _CLOSING.get(text[:1])
    if closing is None:
        return QuotedText(Quoted.NOT, text)
    end = next((at for at in range(1, len(text)) if text[at] in closing and not _is_apostrophe(text, at)), None)
    if end is None:
        return QuotedText(Quoted.OPEN, text)
    inside, after = text[1:end].strip(), text[end + 1 :]
    if not inside or _SAYS.search(after):
        return QuotedText(Quoted.NOT, text)
    return QuotedText(Quoted.WHOLE, f"{inside}{after}".strip())


def without_quotes(text: str) -> str:
    """Return a complete *text* without quotation marks around all of it, and without one that is never closed.

    An apostrophe at the beginning stays, as in ``'Twas``.
    """
    quoted = find_quotes(text)
    if quoted.kind is Quoted.OPEN and text[0] not in _APOSTROPHES:
        return text[1:].lstrip()
    return quoted.plain


def _is_apostrophe(text: str, at: int) -> bool:
    return text[at] in _APOSTROPHES and bool(_SAYS.match(text[at - 1]) and _SAYS.match(text[at + 1 : at + 2]))
