"""Mojibake: text in UTF-8 that some program before us read as another character set (``cafÃ©``, ``Itâ€™s``)."""

import re

# Which character sets it is mistaken for: those that ftfy knows.
_MISTAKEN_FOR = (
    "latin-1",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1257",
    "iso8859-2",
    "mac-roman",
    "cp437",
)
_HIGH = re.escape(
    "".join(sorted({bytes([byte]).decode(name, "ignore") for name in _MISTAKEN_FOR for byte in range(128, 256)}))
)
# A character beyond ASCII is two bytes or more in UTF-8, and so two such characters in a row; a no-break space among them may have become a space.
_SUSPECT = re.compile(f"[{_HIGH}]{{2}}|Ã ")


def repair(text: str) -> str:
    """Return *text* with its mojibake undone; what may as well be meant stays. Source of the decision: the heuristics of ftfy."""
    if not _SUSPECT.search(text):
        return text  # as almost all are, and ftfy takes a tenth of a pair's time to see it
    import ftfy

    return ftfy.fix_encoding(text)
