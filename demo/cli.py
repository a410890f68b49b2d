"""The demo's commands."""

from pathlib import Path
from typing import Annotated

import typer

from snap2caption.console import print_result, progress_bar


def sample_corpus(
    out: Annotated[Path, typer.Option(help="The zip file to write. The truth about its pictures goes beside it.")],
    pairs: Annotated[int, typer.Option(min=1, help="How many pictures with captions.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    traps: Annotated[
        bool, typer.Option("--traps", help="Add what real corpora have: missing partners, damaged files, duplicates, …")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that draw; by default one per processor.")
    ] = None,
) -> None:
    """Write an InstaCities-shaped zip of rendered city scenes with captions."""
    from demo.corpus.archive import write_corpus

    with progress_bar() as bar:
        task = bar.add_task("drawing", total=pairs)
        path = write_corpus(out, pairs, seed, traps, progress=lambda done: bar.advance(task, done), workers=workers)
    print_result(str(path))


def register(app: typer.Typer) -> None:
    """Add the demo's commands to *app*."""
    app.command("sample-corpus")(sample_corpus)
