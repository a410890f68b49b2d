"""Limits of a JSON text's shape, checked before it is parsed: a parser, and who validates what it found, take time for each value."""

import re
from http import HTTPStatus

from serving.http.problems import ProblemError

MOST_VALUES = 1000
"""Values of all kinds, and names of members: the most that a request has use for, a voice of 50 captions, are 54."""

DEEPEST = 16
"""Arrays and objects in one another; what is asked for has two."""

LONGEST_LITERAL = 64
"""Characters of a number, or of a word such as ``true``."""

LONGEST_GAP = 65_536
"""White space, commas and colons between two values."""

_GAP = re.compile(rb"[\s,:]{0,%d}+" % LONGEST_GAP)
_LITERAL = re.compile(rb'[^\s,:"\[\]{}]++')
_ESCAPES = re.compile(rb'(?:\\.[^"\\]{0,64}+){1,1000}+', re.DOTALL)
"""Of a string, with what is between them. A piece at a time: while a thread is inside of one match, no other runs."""


def check_shape(text: bytes | bytearray) -> None:
    """Pass a JSON text whose values are not too many, too deep or too long. What is no JSON is left to the parser.

    It ends at the first that is too much, and does not look at what is inside of strings.

    Raises:
        ProblemError: there is too much.
    """
    values = depth = at = 0
    while True:
        gap = _GAP.match(text, at)
        start = at = gap.end() if gap else at
        if gap and len(gap[0]) == LONGEST_GAP:
            raise _too_complex("very much white space")
        if start == len(text):
            return
        first = text[start : start + 1]
        if first == b'"':
            at = _end_of_string(text, start + 1)
        elif literal := _LITERAL.match(text, start, start + LONGEST_LITERAL + 1):
            at = literal.end()
            if at - start > LONGEST_LITERAL:
                raise _too_complex(f"a number of more than {LONGEST_LITERAL} characters")
        else:
            depth += 1 if first in b"[{" else -1
            at = start + 1
        values += 1
        if values > MOST_VALUES:
            raise _too_complex(f"more than {MOST_VALUES} values")
        if depth > DEEPEST:
            raise _too_complex(f"more than {DEEPEST} levels")


def _end_of_string(text: bytes | bytearray, at: int) -> int:
    """Return where the string has ended that goes on at *at*."""
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


def _too_complex(what: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "too_complex", f"The body has {what}; send the fields that /docs tells of."
    )
