"""Commands of the ETL: extract, import-corpus, load, inspect, export, and those of its parts."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl import transform_cli
from etl.catalog import cli as catalog
from etl.feedback import cli as feedback
from etl.feedback.label_studio import cli as label_studio
from etl.feedback.label_studio.settings import AirflowSettings, LabelStudioSettings
from etl.settings import Aria2Settings, Img2datasetSettings
from snap2caption.command_line.console import download_bar, print_result, progress_bar, stderr
from snap2caption.formats.strict_json import to_document

if TYPE_CHECKING:
    from etl.extract import Progress

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

SETTINGS = (Aria2Settings, Img2datasetSettings, LabelStudioSettings, AirflowSettings)
"""Settings that the environment's variables set for these commands."""


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command()(extract)
    app.command()(import_corpus)
    transform_cli.register(app)
    app.command()(load)
    app.command()(inspect)
    app.command()(export)
    catalog.register(app)
    label_studio.register(app)
    feedback.register(app)


def extract(
    urls: Annotated[list[str], typer.Argument(metavar="URL", help="Mirrors of the corpus zip.")],
    out: Annotated[
        str,
        typer.Option(metavar="PLACE", help="Where the zip goes: a folder, or a prefix in a store (s3://, swift://)."),
    ],
    sha256: Annotated[str | None, typer.Option(metavar="HEX", help="The zip's digest; checked if given.")] = None,
    size: Annotated[int | None, typer.Option(min=1, metavar="BYTES", help="The zip's size; checked if given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the corpus; prints the zip's path or URI."""
    from etl import extract as stage
    from etl.place import parse_place

    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True
        sys.exit(143)

    # Raise SystemExit on SIGTERM, so that a stopped download is removed from the list of a daemon that keeps
    # running.
    signal.signal(signal.SIGTERM, stop)
    with download_bar() as bar:
        task = bar.add_task("downloading", total=None)

        def show(progress: "Progress") -> None:
            bar.update(task, completed=progress.done, total=progress.total or None)
            if stopped:
                sys.exit(143)  # again: Python drops an exception that a handler raises during a finalizer

        path = stage.extract(urls, parse_place(out), sha256=sha256, size=size, on_progress=show)
    print_result(str(path), {"path": str(path)}, as_json=as_json)


def import_corpus(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder or zip with photos and captions, or a table of URLs (.csv, .tsv, .parquet, .jsonl, .json).",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="ZIP", help="The corpus zip to write.")],
    reader: Annotated[
        str | None,
        typer.Option(help="Layout: instagram, imagefolder, webdataset, sidecars or urls; by default it is detected."),
    ] = None,
    caption_column: Annotated[
        str | None,
        typer.Option(help="Column or JSON key of the caption; by default caption, text, description, title."),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(help="Column or JSON key of the group, such as a city, that scores are broken down by."),
    ] = None,
    url_column: Annotated[
        str | None, typer.Option(help="Column of the URLs in a table of URLs; by default url.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a corpus zip from your own photos with captions; prints its path."""
    from etl import import_corpus as stage
    from etl.readers.base import ReaderOptions

    with progress_bar() as bar:
        task = bar.add_task("reading", total=None)
        downloading = bar.add_task("downloading", total=None, visible=False)

        def show(done: int, total: int) -> None:
            bar.update(downloading, completed=done, total=total, visible=True)

        imported = stage.import_corpus(
            source,
            out,
            reader=reader,
            options=ReaderOptions(caption_column, group_column, url_column),
            on_progress=lambda done: bar.advance(task, done),
            on_download=show,
        )
    skipped = "".join(f", {count} {reason}" for reason, count in imported.skipped.items())
    stderr.print(f"Read as {imported.reader}: {imported.posts} posts{skipped}.", highlight=False)
    stderr.print(f"Next: snap2caption transform {imported.path} --out datasets --cities all", highlight=False)
    document = {
        "path": str(imported.path),
        "reader": imported.reader,
        "posts": imported.posts,
        "groups": imported.groups,
        "skipped": imported.skipped,
    }
    print_result(str(imported.path), document, as_json=as_json)


def load(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The version's folder or URI.")],
    uri: Annotated[
        str | None,
        typer.Argument(
            metavar="DEST_URI",
            help="Destination: file://, s3:// or swift://; by default SNAP2CAPTION_DATASETS_URI.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a dataset version; prints its URI."""
    from etl import load as stage
    from etl.place import parse_place
    from snap2caption.settings import Settings

    uri = uri or Settings().datasets_uri

    with progress_bar() as bar:
        task = bar.add_task("uploading", total=None)
        where = stage.load(
            parse_place(dataset), uri, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    print_result(where, {"uri": where}, as_json=as_json)


def inspect(
    dataset_uri: Annotated[
        str, typer.Argument(metavar="DATASET_URI", help="URI of a dataset version, or its folder, mounted or not.")
    ],
    verify: Annotated[bool, typer.Option("--verify", help="Read and check every file.")] = False,
    samples: Annotated[int, typer.Option(min=0, help="Number of samples to show.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show what is in a dataset version; exit status 1 if --verify finds a fault."""
    from etl import inspect as stage
    from etl import verify as checks
    from snap2caption.datasets.version import DatasetVersion

    dataset = DatasetVersion.open(dataset_uri)
    faults = None
    if verify:
        with progress_bar() as bar:
            task = bar.add_task("verifying", total=None)
            faults = checks.verify(
                dataset, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
    # Samples of a damaged version may be unreadable, and its faults explain why.
    found = stage.inspect(dataset, 0 if faults else samples).model_copy(
        update={"faults": None if faults is None else tuple(faults)}
    )
    print_result(stage.draw(found), to_document(found), as_json=as_json)
    if faults:
        raise typer.Exit(1)


def export(
    dataset_uri: Annotated[
        str, typer.Argument(metavar="DATASET_URI", help="URI of a dataset version, or its folder, mounted or not.")
    ],
    uri: Annotated[str, typer.Argument(metavar="DEST_URI", help="Destination: file://, s3:// or swift://.")],
    as_json: AsJson = False,
) -> None:
    """Write a dataset version as plain files for training nodes that mount the store; prints the URI."""
    from etl import export as stage

    with progress_bar() as bar:
        task = bar.add_task("exporting", total=None)
        where = stage.export(
            dataset_uri, uri, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    print_result(where, {"uri": where}, as_json=as_json)
