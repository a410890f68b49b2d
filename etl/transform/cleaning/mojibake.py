"""Mojibake repair: UTF-8 text that was decoded with another character set (``cafÃ©``, ``Itâ€™s``)."""

import re

# The character sets that ftfy knows UTF-8 to be mistaken for.
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
# A non-ASCII character is two or more bytes in UTF-8, hence two such characters in a row. A no-break space
# among them may have become a space. A pattern that starts with a set is searched for in a fifth of the time.
_SUSPECT = re.compile(f"[{_HIGH}](?:[{_HIGH}]|(?<=Ã) )")


def repair(text: str) -> str:
    """Return *text* with its mojibake undone. Text that may be meant as it is stays. ftfy's heuristics decide."""
    if not _SUSPECT.search(text):
        return text  # almost all captions; ftfy would take a tenth of a pair's time to find out
    import ftfy

    return ftfy.fix_encoding(text)
