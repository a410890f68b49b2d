"""Blocklist of hashtags."""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from snap2caption.errors import UserError
from snap2caption.hashtags.text import normalize

_EXTEND = "+"
"""A first line of just this sign: the file's hashtags come on top of the shipped ones."""


def read_banned(path: Path | None = None) -> frozenset[str]:
    """Return the banned hashtags in normal form: those in *path*, or else the shipped ones (``banned.txt`` names its
    source).

    A file holds one hashtag per line, with or without ``#``; ``//`` starts a comment. It replaces the shipped
    list, or extends it if its first line is ``+``.

    Raises:
        UserError: the file can't be read, or a line is not a hashtag.
    """
    shipped = resources.files(__package__).joinpath("banned.txt").read_text(encoding="utf-8")
    if path is None:
        return frozenset(_parse(shipped.splitlines(), "banned.txt"))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The banned hashtags can't be read from {path} ({error}); give a text file, one hashtag a line."
        ) from error
    if lines and lines[0].strip() == _EXTEND:
        return read_banned() | frozenset(_parse(lines[1:], str(path)))
    return frozenset(_parse(lines, str(path)))


def _parse(lines: Iterable[str], where: str) -> Iterable[str]:
    for line in lines:
        text = line.partition("//")[0].strip()
        if not text:
            continue
        tag = normalize(text)
        if tag is None:
            raise UserError(f"{text!r} in {where} is no hashtag; write one a line, and comments after //.")
        yield tag
