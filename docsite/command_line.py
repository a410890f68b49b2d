"""Reference of the command line: the help text of every command."""

from collections.abc import Iterator
from typing import Any

import typer

from snap2caption.__main__ import build_app

PROGRAM = "snap2caption"
COLUMNS = 84
"""Width of the help texts in characters, which fits a page."""


def command_line_page() -> str:
    """Return the page's Markdown."""
    lines = ["# Command line", "", "Every command with its arguments and options, as `--help` prints them.", ""]
    for name, text in _helps(typer.main.get_command(build_app()), PROGRAM, None):
        lines += [f"## {name}", "", "```text", text.strip(), "```", ""]
    return "\n".join(lines)


def _helps(command: Any, name: str, parent: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and help text of *command* and its subcommands.

    Commands are click's objects. Their types are Any, since typer uses a private copy of click.
    """
    context = command.make_context(
        name.rpartition(" ")[2],
        [],
        parent=parent,
        resilient_parsing=True,
        terminal_width=COLUMNS,
        max_content_width=COLUMNS,
    )
    yield name, command.get_help(context)
    for below in getattr(command, "commands", {}):
        yield from _helps(command.commands[below], f"{name} {below}", context)
