"""Markdown parsing as on GitHub, and Markdown tables."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

_GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def render(text: str) -> str:
    """Return *text* as HTML."""
    return str(_GITHUB.render(text))


def links(text: str) -> Iterator[str]:
    """Yield the address of each link and image in *text*."""
    for block in _GITHUB.parse(text):
        for token in block.children or ():
            address = token.attrGet("href") or token.attrGet("src")
            if address:
                yield str(address)


def cell(text: str) -> str:
    """Return *text* as a table cell, with HTML escaped."""
    return re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").strip()


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table with the columns *head*, or no lines if there are no *rows*."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines, ""] if lines else []
