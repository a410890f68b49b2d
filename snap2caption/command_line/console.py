"""Console output: results on standard output, progress on standard error."""

import io
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from snap2caption.redaction import RedactingFormatter

stderr = Console(stderr=True)

LINE_SECONDS = 10.0
"""Seconds between two progress lines where there is no terminal."""


def print_result(text: str, document: Any = None, *, as_json: bool = False) -> None:
    """Print a command's result to standard output: *document* as JSON if *as_json* is true, else *text*.

    Raises:
        ValueError: *document* holds a NaN or an infinity, which JSON does not allow (RFC 8259). A strict reader
            would fail.
    """
    # Not through Rich: a result must reach a pipe unwrapped and unstyled. JSON is ASCII, because the reader may use
    # another encoding.
    print(json.dumps(document, indent=2, allow_nan=False) if as_json else text)  # noqa: T201


def write_what_it_can() -> None:
    """Escape characters that the terminal's encoding lacks, such as emoji (``\U0001f309``), instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send this process's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # At INFO, httpx and swiftclient log each request, and botocore logs where it found the credentials.
    for name in ("botocore", "httpx", "swiftclient"):
        logging.getLogger(name).setLevel(logging.WARNING)


def progress_bar() -> Progress:
    """Return a progress display for long work: bars on a terminal; elsewhere, such as in Airflow's log, an occasional
    line.
    """
    if not stderr.is_terminal:
        return _ProgressLines(str)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=stderr,
    )


def download_bar() -> Progress:
    """Return a progress display like `progress_bar` for a task that counts bytes, with percentage, speed and
    remaining time.
    """
    if not stderr.is_terminal:
        return _ProgressLines(decimal)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=stderr,
    )


class _ProgressLines(Progress):
    """Reports each task's progress at most every `LINE_SECONDS`.

    *show* formats an amount. Short work reports nothing.
    """

    def __init__(self, show: Callable[[int], str]) -> None:
        super().__init__(disable=True)
        self._show = show
        self._last_printed = 0.0

    def start(self) -> None:
        self._last_printed = time.monotonic()

    def update(self, task_id: TaskID, *args: Any, **kwargs: Any) -> None:
        super().update(task_id, *args, **kwargs)
        self._say(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._say(task_id)

    def _say(self, task_id: TaskID) -> None:
        if time.monotonic() - self._last_printed >= LINE_SECONDS:
            self._last_printed = time.monotonic()
            stderr.print(self._line(self._tasks[task_id]), markup=False, highlight=False, soft_wrap=True)

    def _line(self, task: Task) -> str:
        done = self._show(int(task.completed))
        whole = f" of {self._show(int(task.total))} ({task.percentage:.0f} %)" if task.total else ""
        left = f", {task.time_remaining:.0f} s left" if task.time_remaining else ""
        return f"{task.description}: {done}{whole}{left}"
