"""Demo commands."""

from pathlib import Path
from typing import Annotated

import typer

from snap2caption.command_line.console import print_result, progress_bar


def sample_corpus(
    out: Annotated[
        Path,
        typer.Option(help="The zip file to write. A file with the truth about its pictures is written next to it."),
    ],
    pairs: Annotated[int, typer.Option(min=1, help="Number of pictures with captions.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    traps: Annotated[
        bool, typer.Option("--traps", help="Add what real corpora have: missing partners, damaged files, duplicates, …")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes; by default one per processor.")
    ] = None,
) -> None:
    """Write an InstaCities-shaped zip of rendered city scenes with captions."""
    from demo.corpus.archive import write_corpus

    with progress_bar() as bar:
        task = bar.add_task("drawing", total=pairs)
        path = write_corpus(out, pairs, seed, traps, progress=lambda done: bar.advance(task, done), workers=workers)
    print_result(str(path))


def sample_export(
    out: Annotated[Path, typer.Option(help="The zip file to write.")],
    posts: Annotated[int, typer.Option(min=1, help="Number of posts.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    lower_case: Annotated[bool, typer.Option("--lower-case", help="A creator who writes in lower case.")] = False,
) -> None:
    """Write an Instagram data export of rendered city scenes, whose captions have a voice of their own."""
    from demo.corpus.creator import Habit
    from demo.corpus.instagram_export import write_export

    print_result(str(write_export(out, posts, seed, Habit.LOWER_CASE if lower_case else Habit.SIGN_OFF)))


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop when the photo is captioned; exit with the pipeline's status.")
    ] = False,
    photo: Annotated[Path | None, typer.Option(help="A photo of your own to caption, too.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Only serve this model, untrained, and caption the photo: no corpus, Airflow or training. "
            "The name of a folder under models/, owner/name on the model hub, or its name at --engine."
        ),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="URL", help="OpenAI-compatible server that runs the model.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=300, help="Size of the sample corpus.")] = 2400,
    state: Annotated[Path | None, typer.Option(help="Folder for everything; by default .snap2caption.")] = None,
) -> None:
    """Run the whole pipeline on this machine: corpus, Airflow, training, gate, service, a captioned photo."""
    from snap2caption.settings import Settings

    if engine and not model:
        raise typer.BadParameter("name the model that the server runs with --model", param_hint="--engine")
    _end_politely()
    folder = state or Settings().state_dir
    if model:
        from demo import by_name

        with by_name.NamedModelDemo(folder, model, engine, photo).run() as named:
            by_name.show(named)
            _keep_running(once=once)
        return
    from demo.outcome import show
    from demo.run import Demo

    with Demo(folder, pairs, photo).run() as outcome:
        show(outcome)
        _keep_running(once=once)


def demo_feedback(
    once: Annotated[bool, typer.Option("--once", help="Stop when the captions are compared.")] = False,
    pairs: Annotated[int, typer.Option(min=300, help="Size of the sample corpus.")] = 2400,
    state: Annotated[Path | None, typer.Option(help="Folder for everything; by default .snap2caption.")] = None,
) -> None:
    """Run the demo with Label Studio and the feedback loop: corrections, annotations, retraining, and the same photos
    before and after.
    """
    from demo.loop.outcome import show
    from demo.loop.run import FeedbackLoop
    from demo.run import Demo
    from snap2caption.settings import Settings

    _end_politely()
    folder = state or Settings().state_dir
    with Demo(folder, pairs, annotators=True).run() as outcome:
        show(FeedbackLoop(outcome.services, folder / "demo").run())
        _keep_running(once=once)


def _end_politely() -> None:
    """Clean up on SIGTERM, as on Ctrl-C."""
    import signal
    import sys

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def _keep_running(*, once: bool) -> None:
    import signal

    from snap2caption.command_line.console import stderr

    if once:
        return
    stderr.print("\nEverything keeps running until Ctrl-C.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        stderr.print("Stopping.")


VARIABLES = ("SNAP2CAPTION_STACK", "SNAP2CAPTION_DEMO_FILES")
"""Variables that the stack sets for its own processes (`demo.stack.leftovers`, `demo.stack.services.files`)."""


def register(app: typer.Typer) -> None:
    """Add the demo's commands to *app*."""
    app.command("sample-corpus")(sample_corpus)
    app.command("sample-export")(sample_export)
    app.command()(demo)
    app.command("demo-feedback")(demo_feedback)
