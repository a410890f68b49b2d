"""Invisible characters: those without a glyph, and blanks that people type to get empty lines."""

import regex as re

# Excluded: line separators, and characters that change how their neighbors look (joiners, selectors, the tags of a
# flag, fillers of old Korean syllables). Skipping visible ASCII first cuts the time to a sixth.
UNSEEN = re.compile(
    r"[^ -~](?<=[[\p{Default_Ignorable_Code_Point}\p{Cc}\uFFF9-\uFFFB]"
    r"--[\t\n\r\x85\u200C\u200D\u115F\u1160\u180B-\u180D\u180F\uFE00-\uFE0F"
    r"\U000E0020-\U000E007F\U000E0100-\U000E01EF]])",
    re.VERSION1,
)
"""Matches characters that can be removed without a visible change."""

BLANK = re.compile(r"[\u2800\u3164\uFFA0\U0001D159]")
"""Matches blanks that Unicode classifies as letters or symbols: of Braille, of Hangul, of musical notation."""

_SEEN = re.compile(r"[^\s\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800\U0001D159]")


def is_seen(text: str) -> bool:
    """Whether anything in *text* is visible.

    Text of white space, blanks and invisible characters is empty to its readers.
    """
    return _SEEN.search(text) is not None
