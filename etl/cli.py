"""Commands of the ETL: extract, transform, load, inspect, export."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snap2caption.console import download_bar, print_result, progress_bar

if TYPE_CHECKING:
    from etl.extract import Progress

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    for command in (extract, transform, load, inspect, export):
        app.command()(command)


def extract(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Mirrors of the corpus zip.")],
    out: Annotated[Path, typer.Option(help="Folder to download to.")],
    sha256: Annotated[str | None, typer.Option(help="The zip's digest; checked if given.")] = None,
    size: Annotated[int | None, typer.Option(min=1, metavar="BYTES", help="The zip's size; checked if given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the corpus; prints the zip's path."""
    from etl import extract as stage

    # So that a download which is stopped is taken off the list of a daemon that goes on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with download_bar() as bar:
        task = bar.add_task("downloading", total=None)

        def show(progress: "Progress") -> None:
            bar.update(task, completed=progress.done, total=progress.total or None)

        path = stage.extract(urls, out, sha256=sha256, size=size, on_progress=show)
    print_result(str(path), {"path": str(path)}, as_json=as_json)


def transform(
    corpus: Annotated[Path, typer.Argument(metavar="ZIP", help="The corpus.")],
    out: Annotated[Path, typer.Option(help="Folder for the version's folder.")],
    cities: Annotated[
        str, typer.Option(help="Which cities to keep, with commas between.")
    ] = "newyork,chicago,sanfrancisco",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    previous: Annotated[Path | None, typer.Option(help="Manifest of an earlier version, whose splits stand.")] = None,
    source_url: Annotated[list[str] | None, typer.Option(help="Where the zip came from, for the record.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; by default one per processor.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset version; prints its folder."""
    from etl import transform as stage

    with progress_bar() as bar:
        task = bar.add_task("checking", total=None)
        folder = stage.transform(
            corpus,
            out,
            cities=cities.split(","),
            seed=seed,
            previous=previous,
            source_urls=source_url or (),
            workers=workers,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print_result(str(folder), {"dataset": str(folder), "version": folder.name}, as_json=as_json)


def load(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET_DIR", help="The version's folder.")],
    uri: Annotated[str, typer.Argument(help="Where to: file://, s3:// or swift://.")],
    as_json: AsJson = False,
) -> None:
    """Upload a dataset version; prints its URI."""
    from etl import load as stage

    with progress_bar() as bar:
        task = bar.add_task("uploading", total=None)
        where = stage.load(dataset, uri, on_progress=lambda done, total: bar.update(task, completed=done, total=total))
    print_result(where, {"uri": where}, as_json=as_json)


def inspect(
    dataset_uri: Annotated[
        str, typer.Argument(metavar="DATASET_URI", help="URI of a dataset version, or its folder, mounted or not.")
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Read every file again and check it.")] = False,
    samples: Annotated[int, typer.Option(min=0, help="How many samples to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show what is in a dataset version; exit status 1 if --verify finds a fault."""
    from etl import inspect as stage
    from etl import verify as checks
    from snap2caption.dataset import Dataset

    dataset = Dataset.open(dataset_uri)
    faults = None
    if verify:
        with progress_bar() as bar:
            task = bar.add_task("verifying", total=None)
            faults = checks.verify(
                dataset, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    # Samples of a damaged version may not be readable, and its faults say why.
    found = stage.inspect(dataset, 0 if faults else samples).model_copy(
        update={"faults": None if faults is None else tuple(faults)}
    )
    print_result(stage.draw(found), found.model_dump(mode="json"), as_json=as_json)
    if faults:
        raise typer.Exit(1)


def export(
    dataset_uri: Annotated[str, typer.Argument(metavar="DATASET_URI", help="The version: file://, s3:// or swift://.")],
    uri: Annotated[str, typer.Argument(metavar="DEST_URI", help="Where to: file://, s3:// or swift://.")],
    as_json: AsJson = False,
) -> None:
    """Write a dataset version as plain files, photos beside captions, for training nodes that mount the store; prints where."""
    from etl import export as stage

    with progress_bar() as bar:
        task = bar.add_task("exporting", total=None)
        where = stage.export(
            dataset_uri, uri, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    print_result(where, {"uri": where}, as_json=as_json)
