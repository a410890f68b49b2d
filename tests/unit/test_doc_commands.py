"""Pages show commands that exist, and give a reason where no test runs them (`tests/e2e/test_demo.py` runs the
others).
"""

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from doc_commands import ROOT, pages, read_blocks

from snap2caption.__main__ import build_app

pytestmark = pytest.mark.unit

TEXTS = {page: page.read_text(encoding="utf-8") for page in pages()}
BLOCKS = [block for page in pages() for block in read_blocks(page)]


def commands() -> Iterator[tuple[str, str]]:
    """Yield each line of a shell's block, and each code span, with where it is."""
    for block in BLOCKS:
        if block.is_shell:
            yield from ((block.place, line) for line in block.text.replace("\\\n", " ").splitlines())
    for page, text in TEXTS.items():
        prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
        yield from ((page.name, span) for span in re.findall(r"`([^`\n]+)`", prose))


def test_every_fence_names_its_language_and_is_read() -> None:
    assert [block.place for block in BLOCKS if not block.language] == []
    fences = sum(len(re.findall(r"^ *```", text, re.MULTILINE)) for text in TEXTS.values())
    assert fences == 2 * len(BLOCKS)


def test_every_mark_stands_before_a_block_of_commands() -> None:
    marked = [block.place for block in BLOCKS if block.reason and block.is_command]
    marks = sum(len(re.findall(r"^ *<!-- not run", text, re.MULTILINE)) for text in TEXTS.values())
    assert marks == len(marked) > 10
    assert sum(block.is_run for block in BLOCKS) >= 15


def test_every_command_and_option_shown_exists() -> None:
    root: Any = typer.main.get_command(build_app())
    checked, wrong = 0, []
    for place, line in commands():
        plain = re.sub(r"\"[^\"$(]*\"|'[^']*'", "QUOTED", line.partition("  #")[0])
        for found in re.finditer(r"(?:^|[;&|(] *|^[A-Z_]+=\S+ )snap2caption((?: [^\s;&|)`\"]+)+)", plain):
            words, command = found[1].split(), root
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            if words[:1] == ["…"]:
                continue
            given = {word.partition("=")[0] for word in words if word.startswith("--") and word != "--"}
            known = {"--help"}.union(*((*param.opts, *param.secondary_opts) for param in command.params))
            is_group = hasattr(command, "commands")
            if given - known or (is_group and words and not words[0].startswith("--")):
                wrong.append(f"{place}: {found[0]}")
            checked += 1
    assert wrong == []
    assert checked > 50


def test_every_make_target_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = [(place, name) for place, line in commands() for name in re.findall(r"(?:^|[;&] *)make ([a-z-]+)", line)]
    assert len(shown) > 20
    assert [(place, name) for place, name in shown if name not in targets] == []


# To look for pip makes setuptools warn if an earlier test has imported distutils.
@pytest.mark.filterwarnings("ignore:Setuptools is replacing distutils:UserWarning")
def test_every_module_shown_exists() -> None:
    shown = [(place, name) for place, line in commands() for name in re.findall(r"python -m ([\w.]+)", line)]
    assert len(shown) > 3
    assert [(place, name) for place, name in shown if importlib.util.find_spec(name) is None] == []
