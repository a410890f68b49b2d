"""Plain help pages: placeholders (``PATH``) instead of Python types (``<list[Path]>``)."""

import re
from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

_TYPE = re.compile(r"<(?:list\[)?(str|int|float|path|Path)\]?(?: range)?>")
_PLACEHOLDERS = {"str": "TEXT", "int": "NUMBER", "float": "NUMBER", "path": "PATH", "Path": "PATH"}


class PlainHelpCommand(TyperCommand):
    """A command whose help shows arguments by name only, and options with a placeholder for their value."""

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the arguments and options, each with its help text."""
        sections: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name, text = record
                kind = parameter.param_type_name
                shown = name.partition(" <")[0] if kind == "argument" else _TYPE.sub(_placeholder, name)
                sections[kind].append((shown, text))
        for kind, rows in sections.items():
            if rows:
                with formatter.section(f"{kind.capitalize()}s"):
                    formatter.write_dl(rows)


def use_plain_help(app: typer.Typer) -> None:
    """Use plain help for all commands of *app* and its groups."""
    for command in app.registered_commands:
        command.cls = PlainHelpCommand
    for group in app.registered_groups:
        if group.typer_instance is not None:
            use_plain_help(group.typer_instance)


def _placeholder(found: re.Match[str]) -> str:
    return _PLACEHOLDERS[found[1]]
