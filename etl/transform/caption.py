"""Cleaning a caption."""

import re
import unicodedata

from snap2caption import hashtags

_URL = re.compile(r"(?:https?://|\bwww\.)\S*", re.IGNORECASE)
# Not an e-mail address's second half, and not a lone @ that stands for "at".
_MENTION = re.compile(r"(?<![\w@])(?:@\w(?:[\w.]*\w)?)+")
# What a removed word leaves behind: a space before its full stop.
_GAP = re.compile(r"[ \t]+([.,!?;:])(?=\s|$)")
_UNSEEN = re.compile(
    r"[\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069\u061c]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]"
)


def clean(text: str) -> tuple[str, list[str]]:
    """Return a caption's prose and its hashtags.

    URLs, mentions, invisible and direction-changing characters go; white space is folded; hashtags inside a sentence keep their word
    (`hashtags.separate`). Emoji stay.
    """
    text = _UNSEEN.sub("", unicodedata.normalize("NFC", text))
    # Most captions have neither, and looking for the signs alone takes no time.
    if "://" in text or "www." in text.lower():
        text = _URL.sub(" ", text)
    if "@" in text:
        text = _MENTION.sub(" ", text)
    prose, tags = hashtags.separate(text)
    return _GAP.sub(r"\1", prose).strip(), tags


def fingerprint(caption: str) -> str:
    """Return what two captions that say the same have in common: their letters and digits, case folded."""
    folded = unicodedata.normalize("NFKC", caption).casefold()
    words = re.findall(r"\w+", folded)
    # A caption of emoji alone is compared as it is.
    return " ".join(words) or folded
