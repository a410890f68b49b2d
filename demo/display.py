"""Live progress display of the demo: each stage, its current work, its duration."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import RenderableType
from rich.live import Live
from rich.table import Table

from snap2caption.command_line.console import stderr

_SIGNS = {"waiting": "[dim]·[/]", "running": "[yellow]…[/]", "done": "[green]✓[/]", "failed": "[red]✗[/]"}


@dataclass(slots=True)
class Stage:
    """One line of the display."""

    name: str
    state: str = "waiting"
    note: str = ""
    started: float = 0.0
    seconds: float = 0.0

    def elapsed(self) -> float:
        """Seconds since the start, or in total once it has ended."""
        return time.monotonic() - self.started if self.state == "running" else self.seconds


class Display:
    """Shows stages as they go: a table that redraws itself on a terminal, a line for each change elsewhere."""

    def __init__(self, names: list[str]) -> None:
        self.stages = {name: Stage(name) for name in names}
        self._live = (
            Live(get_renderable=self._draw, console=stderr, refresh_per_second=4) if stderr.is_terminal else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Show the stage as running within the context, and then as done or failed."""
        stage = self.stages[name]
        stage.state, stage.started = "running", time.monotonic()
        self._line(f"{name} …")
        try:
            yield stage
        except BaseException:
            stage.seconds, stage.state = stage.elapsed(), "failed"
            self._line(f"{name} failed after {stage.seconds:.0f} s")
            raise
        stage.seconds, stage.state = stage.elapsed(), "done"
        self._line(f"{name} done in {stage.seconds:.0f} s {stage.note}")

    def note(self, stage: Stage, text: str) -> None:
        """Show the stage's current work."""
        if text != stage.note:
            stage.note = text
            self._line(f"{stage.name}: {text}")

    def _line(self, text: str) -> None:
        if not self._live:
            stderr.print(text, markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for stage in self.stages.values():
            elapsed = f"{stage.elapsed():.0f} s" if stage.state != "waiting" else ""
            table.add_row(_SIGNS[stage.state], stage.name, elapsed, stage.note)
        return table
