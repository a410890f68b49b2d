"""Complexity limits for JSON, checked before parsing: the parser and the validator spend time on each value."""

import re
from http import HTTPStatus

from serving.http.problems import ProblemError

MAX_VALUES = 1000
"""Values of all kinds, and member names. The largest valid request, a voice of 50 captions, has 54."""

MAX_DEPTH = 16
"""Nesting levels of arrays and objects. A valid request has two."""

MAX_LITERAL_LENGTH = 64
"""Characters of a number, or of a literal such as ``true``."""

MAX_GAP = 65_536
"""Characters of white space, commas and colons between two values."""

_GAP = re.compile(rb"[\s,:]{0,%d}+" % MAX_GAP)
_LITERAL = re.compile(rb'[^\s,:"\[\]{}]++')
_ESCAPES = re.compile(rb'(?:\\.[^"\\]{0,64}+){1,1000}+', re.DOTALL)
"""Escapes of a string with the text between them. Each match is bounded, because a match holds Python's global
interpreter lock and no other thread runs meanwhile."""


def check_complexity(text: bytes | bytearray) -> None:
    """Check that a JSON text has neither too many values nor too deep or too long ones.

    The check stops at the first limit that is exceeded, and skips the content of strings. Invalid JSON passes: the
    parser refuses it.

    Args:
        text: UTF-8 without a byte order mark.

    Raises:
        ProblemError: a limit is exceeded.
    """
    values = depth = at = 0
    while True:
        gap = _GAP.match(text, at)
        start = at = gap.end() if gap else at
        if gap and len(gap[0]) == MAX_GAP:
            raise _too_complex("too much white space")
        if start == len(text):
            return
        first = text[start : start + 1]
        if first == b'"':
            at = _end_of_string(text, start + 1)
        elif literal := _LITERAL.match(text, start, start + MAX_LITERAL_LENGTH + 1):
            at = literal.end()
            if at - start > MAX_LITERAL_LENGTH:
                raise _too_complex(f"a number of more than {MAX_LITERAL_LENGTH} characters")
        else:
            depth += 1 if first in b"[{" else -1
            at = start + 1
        values += 1
        if values > MAX_VALUES:
            raise _too_complex(f"more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise _too_complex(f"more than {MAX_DEPTH} levels")


def _end_of_string(text: bytes | bytearray, at: int) -> int:
    """Return the position after the closing quote of the string that continues at *at*."""
    quote = -1
    while True:
        if quote < at:
            quote = text.find(b'"', at)
        if quote < 0:
            return len(text)
        slash = text.find(b"\\", at, quote)
        if slash < 0:
            return quote + 1
        escapes = _ESCAPES.match(text, slash)
        at = escapes.end() if escapes else len(text)


def _too_complex(excess: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "too_complex", f"The body has {excess}; send only the fields in /docs."
    )
