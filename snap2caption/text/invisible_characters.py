"""Invisible characters: those without a glyph, and blanks that people type to get empty lines."""

import regex as re

# Not the separators of lines, nor what shows in its neighbors: joiners, selectors, the tags of a flag, fillers of old Korean syllables.
UNSEEN = re.compile(
    r"[[\p{Default_Ignorable_Code_Point}\p{Cc}\uFFF9-\uFFFB]"
    r"--[\t\n\r\x85\u200C\u200D\u115F\u1160\u180B-\u180D\u180F\uFE00-\uFE0F\U000E0020-\U000E007F\U000E0100-\U000E01EF]]",
    re.VERSION1,
)
"""Finds what can go from a text without a trace."""

BLANK = re.compile(r"[\u2800\u3164\uFFA0\U0001D159]")
"""Finds blanks that are letters or symbols to Unicode: of Braille, of Hangul, of notes."""

_SEEN = re.compile(r"[^\s\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\u2800\U0001D159]")


def is_seen(text: str) -> bool:
    """Whether anything in *text* is visible.

    Text of white space, blanks and invisible characters is empty to its readers.
    """
    return _SEEN.search(text) is not None
