"""What the command line shows: results on standard output, progress on standard error."""

import json
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

stderr = Console(stderr=True)


def print_result(text: str, document: Any = None, *, as_json: bool = False) -> None:
    """Print a command's result to standard output: *document* as JSON if asked for, else *text*."""
    # Not through Rich: a result must reach a pipe unwrapped and unstyled.
    print(json.dumps(document, ensure_ascii=False, indent=2) if as_json else text)  # noqa: T201


def progress_bar() -> Progress:
    """Return a progress display for long work. It draws nothing where standard error is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
    )


def download_bar() -> Progress:
    """Return a progress display for a task that counts bytes, with percent, speed and time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=stderr,
        disable=not stderr.is_terminal,
    )
