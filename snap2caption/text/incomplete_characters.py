"""Incomplete characters in generated text: a token may hold only some bytes of a character, and text may end between
two tokens.
"""

import regex as re

from snap2caption.text.invisible_characters import UNSEEN

REPLACEMENT = "\ufffd"
"""What decoders insert for invalid bytes (Unicode's REPLACEMENT CHARACTER)."""

_UTF_16 = "utf-16-le"

_INCOMPLETE = re.compile(rf"(?<=\s){REPLACEMENT}+\s|{REPLACEMENT}+")
# Matches a joiner that joins nothing, and the first letter of a flag without the second.
_HALF = re.compile(r"(?:\u200D|(?<!\p{RI})(?:\p{RI}{2})*\K\p{RI})+$")


def complete(text: str) -> str:
    """Return *text*, as generated so far, without incomplete characters and emoji, invisible characters, and
    surrounding white space.
    """
    # A server may send the two halves of a character in two pieces; what has no other half is none.
    text = text.encode(_UTF_16, "surrogatepass").decode(_UTF_16, "replace")
    return str(_HALF.sub("", _INCOMPLETE.sub("", UNSEEN.sub("", text)).strip())).strip()
