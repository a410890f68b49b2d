"""Help pages of the command line."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from snap2caption.__main__ import build_app

pytestmark = pytest.mark.unit


def commands(command: Any, *names: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that lead to each command, and to each group, below *command*."""
    yield names
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *names, name)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    app = build_app()
    runner = CliRunner(env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"})
    names = [*commands(typer.main.get_command(app))]
    return {" ".join(words): runner.invoke(app, [*words, "--help"]).stdout for words in names}


def test_help_shows_no_python_type(pages: dict[str, str]) -> None:
    assert len(pages) > 40
    typed = {name: re.findall(r"<(?:list|str|int|float|path|Path)\b.*?>", page) for name, page in pages.items()}
    assert {name: found for name, found in typed.items() if found} == {}
    assert re.search(r"^  URL  +Mirrors", pages["extract"], re.MULTILINE)
    assert re.search(r"^  --out PLACE  +Where", pages["extract"], re.MULTILINE)
    assert "--tone <playful|inspirational|minimal|professional|witty>" in pages["caption"]


def test_no_two_options_of_a_command_have_the_same_help(pages: dict[str, str]) -> None:
    def repeated(page: str) -> list[str]:
        texts = Counter(re.findall(r"^  --\S+.*?  +(.+?)(?:  \[|$)", page, re.MULTILINE))
        return [text for text, times in texts.items() if times > 1]

    assert {name: repeated(page) for name, page in pages.items() if repeated(page)} == {}
