"""Text tables for the terminal, safe for texts of other people."""

import io
import json
import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

# Control characters except the line feed, and characters that change a text's direction.
_COMMANDS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def render(parts: Iterable[Table | str]) -> str:
    """Return tables and sentences as text, as wide as the terminal."""
    page = io.StringIO()
    width = max(80, shutil.get_terminal_size((120, 24)).columns)
    console = Console(file=page, width=width, markup=False, highlight=False, emoji=False)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def new_table(title: str, *columns: str, numbers_from: int | None = None) -> Table:
    """Return an empty table. Columns from position *numbers_from* on are aligned to the right."""
    table = Table(title=title, title_justify="left")
    for position, name in enumerate(columns):
        is_number = numbers_from is not None and position >= numbers_from
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def cell(value: Any) -> str:
    """Return *value* as text without characters that a terminal would interpret."""
    text = "-" if value is None or value == "" else value if isinstance(value, str) else _plain(value)
    return _COMMANDS.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value, ensure_ascii=False)
